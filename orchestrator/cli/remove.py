"""`orchestrate rm`: the folder of a sweep goes, once what would go was shown."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from orchestrator.removal import Removal


def remove(
    sweep_ids: Annotated[list[str], typer.Argument(metavar="SWEEP_ID...")],
    yes: Annotated[bool, typer.Option("--yes", help="remove it; without, what would go is shown")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Remove sweeps from this home: journals, states, weights, figures. MLflow keeps its runs and registered models.

    Of a sweep that was submitted goes what this machine knows of it; it is on the cluster, and may still run there.
    """
    from orchestrator.cli import elsewhere, environment
    from orchestrator.cli.console import messages, print_json, results
    from orchestrator.removal import remove_sweep, what_would_go
    from orchestrator.submission import forget_submission, submitted_ids

    home = environment.home_to_read()
    here_ids, known = {folder.name for folder in home.sweep_folders()}, submitted_ids(home)
    submitted = [one for one in dict.fromkeys(sweep_ids) if one in known and one not in here_ids]
    here = [one for one in dict.fromkeys(sweep_ids) if one not in submitted]
    going = [what_would_go(elsewhere.folder_here(home, one)) for one in here]
    if yes:
        for sweep_id in submitted:
            forget_submission(home, sweep_id)
        for one in going:
            remove_sweep(one)
            home.forget_sweep(one.folder.name)
    if as_json:
        print_json({"removed": yes, "sweeps": [_json(one) for one in going], "submissions": submitted})
        return
    for sweep_id in submitted:
        results().print(
            f"{sweep_id}: what this machine knows of its submission; the sweep is on the cluster, and may still run"
        )
    for one in going:
        size = f"{one.files:,} files, {one.size_bytes / 2**20:.1f} MiB"
        said = f"{one.folder.name}: {size}, {one.trials} trials, {one.state}"
        results().print(said, soft_wrap=True)
        for line in filter(None, (one.kept_elsewhere, one.unsent)):
            messages().print(f"  {line}", soft_wrap=True)
    if not yes:
        messages().print("nothing is removed yet; add --yes to remove it for good")


def _json(one: "Removal") -> dict[str, Any]:
    about: dict[str, Any] = {"sweep_id": one.folder.name, "files": one.files, "size_bytes": one.size_bytes}
    return about | {
        "trials": one.trials,
        "state": one.state,
        "kept_elsewhere": one.kept_elsewhere,
        "unsent": one.unsent,
    }
