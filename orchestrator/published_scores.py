"""What others published of a trial's settings: shown beside what it scores here, with what was otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.plan import SweepPlan
from orchestrator.points import parse_points
from orchestrator.space import Scalar, SpaceFaults
from orchestrator.sweep_sections import PublishedScore
from orchestrator.sweep_state import TrialState
from trainables.catalog import architecture
from trainables.errors import ArchitectureError
from trainables.evaluation.intervals import binomial_bounds

OTHERWISE = "\u2260"  # beside a score whose model was another network, or trained otherwise
SHARES = ("accuracy",)  # metrics that are so many images of so many


@dataclass(frozen=True)
class FoundScore:
    """A published score on a test set of `images` (0: not told), with the name that its source gives the model.

    `interval` is the exact one of 95 %, None where the metric is no share of images. `differs` says what is otherwise
    here: settings, epochs, weights.
    """

    name: str
    metric: str
    score: float
    images: int
    source: str
    interval: tuple[float, float] | None
    differs: tuple[str, ...]


Repeated = list[tuple[PublishedScore, dict[str, Scalar]]]


def repeated_points(plan: SweepPlan) -> Repeated:
    """Return each published score of a plan with the point of the plan's spaces that repeats it."""
    found: Repeated = []
    for score in plan.published_scores.scores:
        try:
            space, config = plan.architectures[score.architecture], architecture(score.architecture).config
            (point,) = parse_points([score.settings], space, config)
        except (KeyError, ArchitectureError, SpaceFaults):  # another version's, or of a package that is gone
            continue
        found.append((score, point))
    return found


def published_score(plan: SweepPlan, trial: TrialState, repeated: Repeated) -> FoundScore | None:
    """Return what was published of the model that a trial repeats; None where it repeats none."""
    published = plan.published_scores
    for own, point in repeated:
        if own.architecture == trial.architecture and point.items() <= trial.hyperparameters.items():
            hits = round(own.score * published.images)
            is_share = published.metric in SHARES and published.images
            return FoundScore(
                name=own.name,
                metric=published.metric,
                score=own.score,
                images=published.images,
                source=published.source,
                interval=binomial_bounds(hits, published.images) if is_share else None,
                differs=tuple(_differences(plan, trial, own, point)),
            )
    return None


def _differences(plan: SweepPlan, trial: TrialState, own: PublishedScore, point: dict[str, Scalar]) -> list[str]:
    record = architecture(trial.architecture)
    theirs = {**record.config().model_dump(), **{name: point[name] for name in own.settings}}
    told = [
        f"{name}={trial.hyperparameters.get(name)}"
        for name, value in theirs.items()
        if name != "most_epochs" and trial.hyperparameters.get(name) != value
    ]
    epochs = point.get("most_epochs") or record.published_epochs
    if epochs and len(trial.epochs) < int(epochs):
        told.append(f"{len(trial.epochs)} of {epochs} epochs")
    if record.backbones and plan.weights == "random":
        told.append("random weights")
    return told


def published_note(found: Sequence[FoundScore | None]) -> str:
    """Return whose scores stand beside ours and what their mark means; nothing where there are none."""
    there = [one for one in found if one is not None]
    if not there:
        return ""
    sources = sorted({(one.source or "others", one.images) for one in there})
    told = [source + (f", on {images:,} test images" if images else "") for source, images in sources]
    mark = (
        f"; {OTHERWISE}: trained otherwise here (orchestrate leaderboard --json says how)"
        if any(one.differs for one in there)
        else ""
    )
    return f"published: {'; '.join(told)}{mark}"
