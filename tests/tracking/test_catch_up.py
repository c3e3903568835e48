"""Sweeps that are sent later, again, or elsewhere: what is registered, proposed and closed then."""

import fcntl
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from sweep_support import make_plan
from sync_support import check_against_journal, events, runs_of, write

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.journal import (
    EpochEnded,
    FinalistEvaluated,
    Registered,
    SweepEnded,
    SweepResumed,
    TrialStarted,
    WinnerChosen,
)
from orchestrator.promotion.policy import DEFAULT_POLICY
from orchestrator.sweep_lock import owned
from orchestrator.sweep_state import replay
from orchestrator.tracking.catch_up import catch_up
from orchestrator.tracking.outcome import SyncOutcome, model_key
from orchestrator.tracking.registry import register_winner
from orchestrator.tracking.store import open_store
from orchestrator.tracking.sync import Sync, lock_file


def test_a_winner_whose_evaluation_is_void_is_not_registered(sweep: Path, store_home: Home) -> None:
    """A resumed sweep trained its winner further, and the store has heard nothing of it so far."""
    finalist = FinalistEvaluated(trial=0, validation={"auroc": 0.8}, test={"auroc": 0.7})
    first = [*events("void", end=False), finalist, WinnerChosen(trial=0), SweepEnded(state="completed")]
    plan = make_plan()
    resumed = SweepResumed(plan=plan, plan_digest=plan.digest, slots=1, device="cpu", versions={}, git={}, extended=[0])
    better = EpochEnded(trial=0, epoch=4, metrics={"val/auroc": 0.95, "val/log_loss": 0.4, "perf/epoch_s": 1.0})
    write(sweep, [*first, resumed, TrialStarted(trial=0, after_epoch=3), better])
    (sweep / "trials" / "0000" / "best.safetensors").write_bytes(b"weights")
    (sweep / "finalists" / "0000").mkdir(parents=True)
    sync = Sync(sweep, store_home, None)
    sync.pass_once()
    assert sync.outcome.registered is None
    assert runs_of(open_store(store_home, None), "void")["parent"].info.status == "RUNNING"


def test_what_an_earlier_winner_became_is_not_told_of_a_later_one() -> None:
    lines = [*events("told", end=False), FinalistEvaluated(trial=0, validation={}, test={}), WinnerChosen(trial=0)]
    state = replay(lines)
    version = Registered(name="stroke_phantom", version="2", aliases=[])
    now = SyncOutcome(registered=version, registered_for=model_key(state)).told(state)
    before = SyncOutcome(registered=version, registered_for="1@3").told(state)
    assert (now.registered, now.fault) == (version, "")
    assert (before.registered, before.fault) == (None, "sync ended before it registered the winner")


@pytest.mark.parametrize(
    ("held", "tags", "proposed", "words"),
    [
        ({"challenger": "1"}, {}, ["challenger"], "refused: x"),
        ({"challenger": "3"}, {}, [], "not proposed: version 3 is a newer challenger"),
        ({"challenger": "5"}, {}, [], "not proposed: version 5 is a newer challenger"),  # of before judged_at was kept
        ({"challenger": "0"}, {}, ["challenger"], "refused: x"),  # so was this
        ({"challenger": "3", "champion": "2"}, {}, [], ""),
        ({}, {"orchestrate.decision": '{"words": "refused: x"}'}, [], "refused: x"),  # it was judged then
    ],
)
def test_a_sweep_that_is_sent_again_proposes_nothing_anew(
    monkeypatch: pytest.MonkeyPatch, held: dict, tags: dict, proposed: list[str], words: str
) -> None:
    """Whether a sweep is old its own time says, not the number that its version got when it was sent."""
    finalist = FinalistEvaluated(trial=0, validation={}, test={}, time=100)
    state = replay([*events("old", end=False), finalist, WinnerChosen(trial=0)])
    judged = {"1": {"orchestrate.judged_at": "99"}, "3": {"orchestrate.judged_at": "101"}, "0": {}, "5": {}}
    aliases: list[str] = []
    client = SimpleNamespace(
        get_registered_model=lambda name: SimpleNamespace(aliases=held),
        set_registered_model_alias=lambda name, alias, version: aliases.append(alias),
        get_model_version=lambda name, version: SimpleNamespace(tags=judged[version]),
    )
    known = SimpleNamespace(version="2", tags=tags)
    monkeypatch.setattr("orchestrator.tracking.registry._version_of_winner", lambda *about: known)
    monkeypatch.setattr("orchestrator.tracking.registry._ask_policy", lambda *about: "refused: x")
    registered = register_winner(client, state, Path(), "0", "run", DEFAULT_POLICY)
    assert aliases == proposed
    assert registered.decision == words


def test_a_sweep_can_be_sent_to_a_second_store(sweep: Path, store_home: Home, tmp_path_factory) -> None:
    write(sweep, events(sweep.name))
    other = f"sqlite:///{tmp_path_factory.mktemp('other') / 'other.db'}"
    heard = []
    catch_up(sweep, store_home, None, lambda sent, of: None)
    catch_up(sweep, store_home, other, lambda sent, of: heard.append((sent, of)))
    catch_up(sweep, store_home, None, lambda sent, of: heard.append("again"))
    check_against_journal(open_store(store_home, other), sweep.name)
    check_against_journal(open_store(store_home, None), sweep.name)
    lines = len(events(sweep.name))
    assert heard == [(lines, lines)], "what was sent to the first is not sent again"


def test_a_long_journal_goes_in_batches_and_what_was_sent_stays_sent(
    sweep: Path, store_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(sweep, events(sweep.name))
    monkeypatch.setattr("orchestrator.tracking.sync.EVENTS_PER_BATCH", 4)
    heard: list[int] = []

    def broken_off_after_two(sent: int, of: int) -> None:
        heard.append(sent)
        if len(heard) == 2:
            raise OSError("the cable is out")

    monkeypatch.setattr("orchestrator.tracking.catch_up.WITHOUT_PROGRESS_S", 0.0)
    with pytest.raises(BadInput, match="the cable is out"):
        catch_up(sweep, store_home, None, broken_off_after_two)
    assert heard == [4, 8]
    outcome = catch_up(sweep, store_home, None, lambda sent, of: heard.append(sent))
    assert heard[2:] == [12, 16, len(events(sweep.name))]
    assert outcome.events_sent == len(events(sweep.name))
    check_against_journal(open_store(store_home, None), sweep.name)


def test_a_store_that_another_process_is_sending_to_is_left_to_it(sweep: Path, store_home: Home) -> None:
    write(sweep, events(sweep.name))
    with lock_file(sweep, store_home, None).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BadInput, match="another process is sending it to this store"):
            catch_up(sweep, store_home, None, lambda sent, of: None)


def test_a_copied_folder_does_not_write_to_the_runs_of_its_original(sweep: Path, store_home: Home) -> None:
    write(sweep, [*events(sweep.name, end=False)[:-1], SweepEnded(state="interrupted", reason="x")])  # as it was then
    copy = sweep.with_name(f"{sweep.name}.bak")
    shutil.copytree(sweep, copy)
    plan = make_plan()
    resumed = SweepResumed(plan=plan, plan_digest=plan.digest, slots=1, device="cpu", versions={}, git={})
    write(sweep, [resumed, events(sweep.name)[-2], SweepEnded(state="completed")])
    catch_up(sweep, store_home, None, lambda sent, of: None)
    refusal = rf"^{copy.name}: is a copy of {sweep.name} and would write to its runs in MLflow; sync that; .*its name$"
    with pytest.raises(BadInput, match=refusal):
        catch_up(copy, store_home, None, lambda sent, of: None)
    check_against_journal(open_store(store_home, None), sweep.name)
    assert not list(copy.glob("sync-*"))


def test_a_folder_in_the_place_of_the_lock_is_told(sweep: Path, store_home: Home) -> None:
    write(sweep, events(sweep.name))
    lock_file(sweep, store_home, None).mkdir()
    with pytest.raises(BadInput, match=r"sync-.*\.lock: is a folder, and a sweep has a file of that name"):
        catch_up(sweep, store_home, None, lambda sent, of: None)


def test_what_nobody_runs_any_more_is_closed_and_what_somebody_runs_is_not(sweep: Path, store_home: Home) -> None:
    write(sweep, events(sweep.name, end=False)[:-1])
    client = open_store(store_home, None)
    with owned(sweep):
        catch_up(sweep, store_home, None, lambda sent, of: None)
        assert runs_of(client, sweep.name)["parent"].info.status == "RUNNING"
    catch_up(sweep, store_home, None, lambda sent, of: None)
    statuses = {key: run.info.status for key, run in runs_of(client, sweep.name).items()}
    assert statuses == {"parent": "KILLED", "0": "FINISHED", "1": "KILLED", "2": "KILLED"}
