"""What others published of a trial's settings: found by them, shown beside what it scores here."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.plan import SweepPlan
from orchestrator.sweep_state import TrialState


@dataclass(frozen=True)
class FoundScore:
    """A published score on a test set of `images` (0: not told), with the name that its source gives the model."""

    name: str
    metric: str
    score: float
    images: int
    source: str


def published_score(plan: SweepPlan, trial: TrialState) -> FoundScore | None:
    """Return what was published of a trial's settings; None where nothing was."""
    published = plan.published_scores
    for own in published.scores:
        if own.architecture == trial.architecture and own.settings.items() <= trial.hyperparameters.items():
            return FoundScore(own.name, published.metric, own.score, published.images, published.source)
    return None


def published_note(found: Sequence[FoundScore | None]) -> str:
    """Return whose scores stand beside ours, and on how many images; nothing where there are none."""
    sources = {(one.source, one.images) for one in found if one is not None}
    told = [source + (f", on {images:,} test images" if images else "") for source, images in sorted(sources) if source]
    return f"published: {'; '.join(told)}; other images than these" if told else ""
