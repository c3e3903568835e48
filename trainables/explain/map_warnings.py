"""What a panel must say of its maps, so that nobody reads more in them than there is; imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainables.explain.explainers import AUTO, METHODS, Explainer

IDLE_FRACTION = 0.05  # of both branches' parts in the answer: a branch with less of it hardly took part
PASSED, FAILED, NOT_KNOWN = "beats its controls", "do not rely on it", "not known"
WHAT_IT_MEANS: Mapping[str, str] = {
    PASSED: "better than maps that know nothing of the model, and changed when the model's weights were noise",
    NOT_KNOWN: "to be better than maps that know nothing of the model, or to change when the model's weights are noise",
}
LEAST_WHOLE = 0.01  # of a logit, both parts together: less is nothing that could be shared


@dataclass(frozen=True)
class MapVerdict:
    """What an explainer's maps are worth, None where it cannot be told; the sentences say why."""

    beats_controls: bool | None
    beside_controls: str
    depends_on_model: bool | None
    of_noise: str


def verdict_words(verdict: MapVerdict | None) -> str:
    """Return in some words, for a small picture, whether a map passed its tests; None is of one that had none."""
    told = (None, None) if verdict is None else (verdict.beats_controls, verdict.depends_on_model)
    return FAILED if False in told else NOT_KNOWN if None in told else PASSED


def verdict_failures(name: str, verdict: MapVerdict) -> list[str]:
    """Return the tests that an explainer of this name failed."""
    failed = [verdict.beside_controls] if verdict.beats_controls is False else []
    return failed + ([f"{name}: {verdict.of_noise}"] if verdict.depends_on_model is False else [])


def verdict_warnings(shown: Sequence[str], verdicts: Mapping[str, MapVerdict]) -> list[str]:
    """Return the tests that shown explainers failed, and of which of them nothing is known: that is no pass."""
    known = {name: verdicts[name] for name in shown if name in verdicts}
    failed = [text for name, one in known.items() for text in verdict_failures(name, one)]
    unproved = [name for name in shown if name not in known or known[name].beats_controls is None]
    untested = [name for name in shown if name not in known or known[name].depends_on_model is None]
    unknown = [
        f"Not known to be better than maps that know nothing of the model: {', '.join(unproved)}." if unproved else "",
        f"Not known to change when the model's weights are noise: {', '.join(untested)}." if untested else "",
    ]
    return failed + [text for text in unknown if text]


def of_any_class(explainers: Sequence[Explainer]) -> list[str]:
    """Return which maps would be the same if another class were explained: their brightness speaks for none."""
    same = [one.name for one in explainers if one.method != AUTO and not METHODS[one.method].class_specific]
    return [f"{', '.join(same)}: the same for every class."] if same else []


def idle_branch(parts: Mapping[str, float], explainers: Mapping[str, Sequence[str]]) -> list[str]:
    """Return that one of two branches hardly took part in an answer, so its maps do not show what that rests on.

    `parts` are the Shapley parts by branch, `explainers` the names of the maps of each.
    """
    whole = sum(abs(part) for part in parts.values())
    return [
        f"{', '.join(explainers[branch])}: this branch gives {abs(part) / whole:.0%} of what both give to this answer, "
        "so its map, and what it adds to a fused view, do not show what the answer rests on."
        for branch, part in parts.items()
        if whole >= LEAST_WHOLE and abs(part) < IDLE_FRACTION * whole and explainers[branch]
    ]
