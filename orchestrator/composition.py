"""Several sweep files as one sweep of a task: which architectures fit, each with its own search space and trials."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from orchestrator.chosen_architectures import Choice, with_chosen
from orchestrator.errors import BadInput
from orchestrator.generic_space import with_generic_spaces
from orchestrator.sweep_file import known_architecture, misfit
from orchestrator.sweep_sections import Budget, Search
from trainables.catalog import Task

FIXED = "fixed"  # the algorithm of files that only repeat what was published


@dataclass(frozen=True)
class Contents:
    """What a sweep file holds, resolved for a preset, with the file's name."""

    file: str
    raw: Mapping[str, Any]

    @property
    def is_fixed(self) -> bool:
        """Tell whether the file searches nothing, and repeats what was published."""
        return Search(**self.raw.get("search", {})).algorithm == FIXED


def compose(task: Task, files: Sequence[Contents], choice: Choice) -> dict[str, Any]:
    """Return the contents of one sweep of a task: every architecture of these files that fits it, or the chosen ones.

    An architecture has the search space of the first file that has it, those of the task's own files first, and as
    many trials as all that fit have on average. The most epochs and finalists of the task's files hold, with the
    search and the scheduler of the first. Raises BadInput where nothing fits.
    """
    own = [file for file in files if file.raw["task"] == task.name]
    ordered = own + [file for file in files if file.raw["task"] != task.name]
    whose: dict[str, Contents] = {}
    trials = Fraction(0)
    for file in ordered:
        here = [name for name in file.raw["architectures"] if name not in whose and _fits(name, task)]
        trials += Fraction(len(here) * Budget(**file.raw.get("budget", {})).trials, len(file.raw["architectures"]))
        whose |= dict.fromkeys(here, file)
    named = [name for name in task.timm_models if name not in whose]
    known = [*whose, *named]
    if not known:
        raise BadInput(f"task {task.name}: no architecture of {', '.join(file.file for file in files)} fits it")
    spaces = {name: file.raw["architectures"][name] for name, file in whose.items()}
    spaces |= with_generic_spaces(dict.fromkeys(named))
    each = (trials + len(named)) / len(known)
    deciding = own or ordered
    budgets = [Budget(**file.raw.get("budget", {})) for file in deciding]
    most = {name: max(getattr(budget, name) for budget in budgets) for name in ("epochs", "finalists")}
    whole = {
        "task": task.name,
        "architectures": spaces,
        "budget": {
            **deciding[0].raw.get("budget", {}),
            **most,
            "trials": math.ceil(each * len(choice.of(known))),
        },
        "search": {
            **deciding[0].raw.get("search", {}),
            "enqueue": {
                name: points
                for file in ordered
                for name, points in file.raw.get("search", {}).get("enqueue", {}).items()
                if whose.get(name) is file
            },
        },
        "scheduler": deciding[0].raw.get("scheduler", {}),
        "published": _published(own, whose),
    }
    return with_chosen(whole, choice)


def _fits(name: str, task: Task) -> bool:
    return not misfit(known_architecture(name), task)


def _published(own: Sequence[Contents], whose: Mapping[str, Contents]) -> Mapping[str, Any]:
    """Return the scores of the first of the task's files that has some, of the models whose space is that file's."""
    for file in own:
        published = file.raw.get("published", {})
        scores = [score for score in published.get("scores", []) if whose.get(score["architecture"]) is file]
        if scores:
            return {**published, "scores": scores}
    return {}
