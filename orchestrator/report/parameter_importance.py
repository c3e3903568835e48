"""How much each searched parameter mattered, as bars with words beside."""

from orchestrator.report.content import ReportContent, counted, title_of
from orchestrator.report.markup import Markup, joined, tag

LEAST_COMPLETED = 10  # completed trials of an architecture without which nothing is said
BEST_SHARE = 0.25  # of the completed trials count as good
_MOST_BARS = 10

HOW = (
    "PED-ANOVA (Optuna): how much the values that good trials have differ from those of all trials. Good is the best "
    "quarter of the completed trials, or the best five. Trials that were stopped early do not count, and a share says "
    "nothing of the direction: look at the lines above. With few trials it is a hint, no finding."
)


def draw_importance(content: ReportContent, architecture: str) -> Markup:
    """Return the bars of one architecture, or why there are none."""
    shares = content.importances.get(architecture, {})
    if not shares:
        return tag("p", {"class": "quiet"}, _why_none(content, architecture))
    largest = max(shares.values()) or 1.0
    named = dict(list(shares.items())[:_MOST_BARS])
    rest = [name for name in shares if name not in named]
    bars = [
        tag(
            "tr",
            None,
            tag("th", {"scope": "row"}, name),
            tag("td", {"class": "bar"}, tag("i", {"style": f"width:{100 * share / largest:.1f}%"})),
            tag("td", {"class": "n"}, f"{share:.0%}"),
        )
        for name, share in named.items()
    ]
    words = f"Below {min(named.values()):.1%}: {', '.join(rest)}."
    return joined(
        [
            tag("table", {"class": "bars"}, tag("tbody", None, *bars)),
            tag("p", {"class": "small"}, words) if rest else None,
        ]
    )


def _why_none(content: ReportContent, architecture: str) -> str:
    own = [line.trial for line in content.of_architecture(architecture)]
    completed = [trial for trial in own if trial.state == "completed"]
    if len(completed) < LEAST_COMPLETED:
        return (
            f"Too few trials to tell: {counted(len(completed), 'trial')} of {architecture} trained to the end, "
            f"{LEAST_COMPLETED} are needed."
        )
    return f"Nothing to tell: the completed trials of {architecture} do not differ in {title_of(content.metric)}."
