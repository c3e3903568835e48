"""The sweeps of a home, read back from their journals."""

from orchestrator.errors import BadInput, unknown_name
from orchestrator.home import Home
from orchestrator.journal import read_events
from orchestrator.sweep_state import SweepState, replay
from trainables.catalog import TASKS


def all_sweeps(home: Home) -> tuple[list[SweepState], list[str]]:
    """Return every sweep of the home, oldest first, and a line for each journal that cannot be read.

    One damaged journal does not hide the others; one without a whole first line yet is left out.
    """
    states, faults = [], []
    for folder in home.sweep_folders():
        try:
            events, _ = read_events(folder / "journal.jsonl")
            if not events:
                continue
            state = replay(events)
            if state.started.sweep_id != folder.name:
                faults.append(f"sweep {folder.name} is left out: it is a copy of {state.started.sweep_id}")
                continue
            states.append(state)
        except OSError as error:
            faults.append(f"sweep {folder.name} is left out, its journal cannot be read: {error.strerror}")
        except BadInput as error:
            faults.append(f"sweep {folder.name} is left out: {error}")
        except (ValueError, KeyError) as error:
            faults.append(f"sweep {folder.name} is left out, its journal is damaged: {error}")
    return sorted(states, key=lambda state: state.started.time), faults


def sweeps_of(sweeps: list[SweepState], name: str) -> list[SweepState]:
    """Return the sweeps that a task, <task>_phantom or a sweep's id means. Raises BadInput when there are none.

    A bare task means real data; where there is none, its phantom sweeps.
    """
    by_id = [state for state in sweeps if state.started.sweep_id == name]
    if by_id:
        return by_id
    task = name.removesuffix("_phantom")
    if task not in TASKS:
        known = [*TASKS, *(state.started.sweep_id for state in sweeps)]
        raise BadInput(unknown_name("task or sweep", name, known))
    kind = "phantom" if name.endswith("_phantom") else "real"
    own = [state for state in sweeps if state.plan.task == task]
    found = [state for state in own if state.plan.data.kind == kind]
    if not found and own and kind == "real":
        return own
    if not found:
        raise BadInput(f"{name}: no sweep has been run yet; see: orchestrate list sweeps")
    return found


def same_data(sweeps: list[SweepState]) -> list[SweepState]:
    """Return the sweeps whose scores may be compared with the newest one's: same data, split and metric."""
    return [state for state in sweeps if not why_apart(state, sweeps[-1])]


def why_apart(state: SweepState, newest: SweepState) -> str:
    """Return why the scores of two sweeps cannot be compared; empty where they can."""
    one, other = state.plan, newest.plan
    if one.data.digest != other.data.digest:
        return f"other {one.data.kind} data"
    if one.data.split_digest != other.data.split_digest:
        return f"another split ({one.data.split})"
    return "" if one.metric == other.metric else f"decided by {one.metric}"
