"""What a panel must say of its maps, so that nobody reads more in them than there is; imports no torch."""

from collections.abc import Mapping, Sequence

from trainables.explain.explainers import AUTO, METHODS, Explainer

IDLE_FRACTION = 0.05  # of both branches' parts in the answer: a branch with less of it hardly took part


def failed_tests(
    explainer: str, beats_controls: bool | None, beside_controls: str, depends_on_model: bool | None, of_noise: str
) -> list[str]:
    """Return the sentences of the tests that an explainer failed; nothing where it passed, or it cannot be told."""
    failed = [beside_controls] if beats_controls is False else []
    return failed + ([f"{explainer}: {of_noise}"] if depends_on_model is False else [])


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
        "so its map does not show what the answer rests on."
        for branch, part in parts.items()
        if whole > 0 and abs(part) < IDLE_FRACTION * whole and explainers[branch]
    ]
