"""What was run, and the commands that run it again; no path of a machine is named, as pages travel."""

import json
import shlex
from pathlib import Path, PurePath

from orchestrator.home import Home
from orchestrator.plan import SweepPlan
from orchestrator.report.content import NONE, ReportContent
from orchestrator.report.markup import Child, Markup, table, tag
from orchestrator.sweep_request import SweepRequest
from orchestrator.sweep_state import SweepState


def sweep_command(state: SweepState, asked: SweepRequest | None) -> str:
    """Return the command that runs the sweep again; what the machine decided is written out."""
    plan = state.started.plan
    budget = plan.budget
    if asked is None:
        asked = SweepRequest(
            name=plan.sweep, home=Home(Path()), metric=plan.metric, architectures=tuple(plan.architectures),
            trials=budget.trials, epochs=budget.epochs, finalists=budget.finalists,
        )  # fmt: skip
    is_raised = state.plan.budget != budget  # then request.json holds what it was raised to
    names = [PurePath(name).name if name.endswith((".yaml", ".yml")) else name for name in asked.files or [asked.name]]
    which = ["--task", asked.task] if asked.task is not None and asked.name == asked.task else names
    flags: dict[str, object] = {
        "--data": "phantom" if plan.data.kind == "phantom" else "DIR",
        "--preset": plan.preset,
        "--weights": plan.weights,
        "--seed": plan.seed,
        "--architectures": ",".join(asked.architectures) or None,
        "--exclude": ",".join(asked.exclude) or None,
        "--trials": budget.trials if is_raised else asked.trials,
        "--epochs": budget.epochs if is_raised else asked.epochs,
        "--finalists": asked.finalists,
        "--slots": asked.slots,
        "--gpus-per-trial": asked.gpu_share,
        "--metric": asked.metric,
        "--split": asked.split,
        "--folds": asked.folds if asked.folds > 1 else None,
        "--seeds": plan.seeds if plan.seeds > 1 else None,
        "--allocation": asked.allocation,
        "--time-budget": _seconds(budget.time_s if is_raised else asked.time_budget_s),
        "--max-disk": asked.max_disk_bytes,
    }
    words = ["orchestrate", "sweep", *which, *(["--warm-start"] if asked.warm_start else [])]
    for flag, value in flags.items():
        words += [flag, str(value)] if value is not None else []
    for key, text in asked.overrides.items():
        words += ["--set", f"{key}={text}"]
    return shlex.join(words)


def resume_command(state: SweepState) -> str | None:
    """Return the command that raises the budget as it was raised; None where it was not."""
    first, last = state.started.plan.budget, state.plan.budget
    words = ["orchestrate", "resume", state.started.sweep_id]
    for name in ("trials", "epochs"):
        if getattr(first, name) != getattr(last, name):
            words += [f"--{name}", str(getattr(last, name))]
    if first.time_s != last.time_s and last.time_s is not None:
        words += ["--time-budget", str(_seconds(last.time_s))]
    return shlex.join(words) if len(words) > 3 else None


def _seconds(time_s: float | None) -> str | None:
    return None if time_s is None else f"{time_s:.3f}".rstrip("0").rstrip(".") + "s"


def draw_repeat(content: ReportContent, asked: SweepRequest | None) -> Markup:
    """Return the commands, the digests, the versions and the whole plan."""
    state = content.state
    plan = state.plan
    number = state.winner if state.winner is not None else (content.rows[0].trial_id if content.rows else None)
    commit, dirty = state.started.git.get("commit", ""), state.started.git.get("dirty") == "true"
    parts: list[Markup | None] = []
    if commit:
        changed = " The code had changes that this commit does not hold." if dirty else ""
        parts.append(_command("The code as it was.", f"git checkout {shlex.quote(commit)}", changed))
    parts.append(_command("The whole sweep.", sweep_command(state, asked), _about_sweep(plan, asked)))
    raised = resume_command(state)
    parts.append(
        _command("Its budget was raised later.", raised.replace(state.started.sweep_id, "SWEEP_ID", 1))
        if raised
        else None
    )
    if number is not None:
        one = shlex.join(["orchestrate", "replay", state.started.sweep_id, str(number)])
        parts.append(_command("One trial again, from its number, beside what the journal says.", one))
    parts.append(
        _command("This page again, from the journal.", shlex.join(["orchestrate", "report", state.started.sweep_id]))
    )
    rows = [
        ["plan", state.plan_digest, "everything that decides the results"],
        ["data", plan.data.digest, "all images"],
        ["split", plan.data.split_digest, "who is on which side"],
        ["test images", plan.data.test_digest, "what the ledger of test reads counts by"],
        ["code", (commit or NONE) + (" with changes" if dirty else ""), "git commit"],
    ]
    coded: list[list[Child]] = [[what, tag("code", None, digest), words] for what, digest, words in rows]
    versions = state.resumed.versions if state.resumed else state.started.versions
    return tag(
        "div",
        None,
        *parts,
        table(["what", "digest", ""], coded),
        _folded("Versions", table(["package", "version"], [[name, text] for name, text in versions.items()])),
        _folded(
            "The whole plan",
            tag("pre", {"class": "plan"}, json.dumps(plan.model_dump(mode="json"), indent=2, ensure_ascii=False)),
        ),
    )


def _about_sweep(plan: SweepPlan, asked: SweepRequest | None) -> str:
    said = []
    if plan.data.kind == "real":
        said.append("DIR is the folder of the images with the data digest below.")
    if asked is None:
        said.append("What was asked for was not kept: this is made from the plan, and may lack changes by --set.")
    elif asked.name.endswith((".yaml", ".yml")):
        said.append("The sweep file was one of the user's own: what it said is in the plan below.")
    said.append(
        "On one slot of the same machine it gives the same trials; on several, the order in which trials end feeds "
        "the search."
    )
    return " ".join(said)


def _command(title: str, command: str, words: str = "") -> Markup:
    return tag(
        "div", {"class": "command"}, tag("p", {"class": "small"}, f"{title} {words}".strip()), tag("pre", None, command)
    )


def _folded(title: str, content: Markup) -> Markup:
    return tag("details", None, tag("summary", None, title), content)
