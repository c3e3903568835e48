"""The points that a sweep file names, whole: what is tried first, and settings whose score was published."""

from collections.abc import Mapping

from orchestrator.errors import unknown_name
from orchestrator.points import not_on_a_grid, parse_points
from orchestrator.space import Scalar, Space, SpaceFaults
from orchestrator.sweep_sections import Published, PublishedScore, Search
from trainables.catalog import architecture
from trainables.evaluation.metrics import METRICS

Faults = list[tuple[str, str]]
Points = dict[str, list[dict[str, Scalar]]]


def with_whole_points(
    spaces: Mapping[str, Space], search: Search, published: Published, *, overridden: bool = False
) -> Search:
    """Return the search section with whole points; where nothing but fixed points is tried, the published ones are.

    Of spaces that were `overridden` a published model need not be a point, unless it is what is tried.

    Raises SpaceFaults for points that the spaces do not hold, and for ranges on a grid.
    """
    faults: Faults = []
    points: Points = {}
    for name, own in search.enqueue.items():
        where = f"search.enqueue.{name}"
        if name not in spaces:
            faults.append((where, unknown_name("architecture of this sweep", name, spaces)))
            continue
        try:
            points[name] = parse_points(own, spaces[name], architecture(name).config)
        except SpaceFaults as error:
            faults += [(f"{where}.{key}", message) for key, message in error.faults]
    if search.algorithm == "grid":
        for name, space in spaces.items():
            faults += [
                (f"architectures.{name}.{key}", "a grid has no ranges: use choice: [..], or another search.algorithm")
                for key in not_on_a_grid(space)
            ]
    faults += _faults_of(published)
    for number, score in enumerate(published.scores):
        if overridden and search.algorithm != "fixed":
            break
        whole = _whole_settings(score, spaces, f"published.scores.{number}", faults)
        if search.algorithm == "fixed" and whole is not None:
            points.setdefault(score.architecture, []).append(whole)
    if faults:
        raise SpaceFaults(faults)
    return search.model_copy(update={"enqueue": points})


def _faults_of(published: Published) -> Faults:
    """Return what is wrong with the section whatever the spaces are."""
    if not published.scores:
        return []
    faults: Faults = []
    if not published.source.strip():
        faults.append(("published.source", "missing; say whose scores these are"))
    if published.metric not in METRICS:
        faults.append(("published.metric", unknown_name("metric", published.metric, METRICS)))
    known: dict[object, int] = {}
    for number, score in enumerate(published.scores):
        where = f"published.scores.{number}"
        if not score.name.strip() or not score.name.isprintable():
            faults.append((f"{where}.name", f"expected printable text, got {score.name!r}"))
        if METRICS.get(published.metric) == "max" and not -1 <= score.score <= 1:
            hint = f"; a share of 1, e.g. {score.score / 100:g}" if 1 < score.score <= 100 else ""
            faults.append((f"{where}.score", f"{score.score:g} is no {published.metric}{hint}"))
        if published.metric == "accuracy" and score.score < 0:
            faults.append((f"{where}.score", f"{score.score:g} is no accuracy"))
        same = score.architecture, tuple(sorted(score.settings.items()))
        for key, told in ((score.name, "has the name"), (same, "has architecture and settings")):
            if known.setdefault(key, number) != number:
                faults.append((where, f"{told} of published.scores.{known[key]}"))
    return faults


def _whole_settings(
    score: PublishedScore, spaces: Mapping[str, Space], where: str, faults: Faults
) -> dict[str, Scalar] | None:
    name = score.architecture
    if name not in spaces:
        faults.append((f"{where}.architecture", unknown_name("architecture of this sweep", name, spaces)))
        return None
    try:
        (whole,) = parse_points([score.settings], spaces[name], architecture(name).config)
    except SpaceFaults as error:
        faults += [(f"{where}.settings{key.removeprefix('0')}", message) for key, message in error.faults]
        return None
    return whole
