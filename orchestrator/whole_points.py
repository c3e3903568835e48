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


def with_whole_points(spaces: Mapping[str, Space], search: Search, published: Published) -> Search:
    """Return the search section with whole points; where nothing but fixed points is tried, the published ones are.

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
    if published.metric not in METRICS:
        faults.append(("published.metric", unknown_name("metric", published.metric, METRICS)))
    for number, score in enumerate(published.scores):
        whole = _whole_settings(score, spaces, f"published.scores.{number}", faults)
        if search.algorithm == "fixed" and whole is not None:
            points.setdefault(score.architecture, []).append(whole)
    if faults:
        raise SpaceFaults(faults)
    return search.model_copy(update={"enqueue": points})


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
