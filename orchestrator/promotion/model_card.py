"""The evidence of a model as Markdown, for people."""

from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.promotion.evidence import CARD_FILE, Evidence, EvidenceFolder
from orchestrator.ranking import format_interval, format_metric
from trainables.evaluation.evaluation_files import FAILURES_FILE

INTENDED_USE = (
    "Research only. It is no medical device: nothing it says may decide what is done to a patient. "
    "It knows images like those it was trained on and no others."
)
SHOWN_METRICS = (
    "auroc",
    "average_precision",
    "balanced_accuracy",
    "macro_f1",
    "sensitivity",
    "specificity",
    "log_loss",
)
MOST_FAILURES = 10


def write_model_card(folder: EvidenceFolder) -> str:
    """Write the card beside the evidence and return its text."""
    text = "\n".join(_lines(folder)) + "\n"
    (folder.path / CARD_FILE).write_text(text, encoding="utf-8")
    return text


def _lines(folder: EvidenceFolder) -> Iterator[str]:
    evidence = folder.evidence
    yield f"# {evidence.name}: {evidence.architecture}"
    yield f"\n{evidence.title}. Classes: {', '.join(map(_plain, evidence.classes))}.\n\n{INTENDED_USE}"
    if evidence.data_kind == "phantom":
        yield "\n**Trained and tested on synthetic images only.** Its scores say nothing of people."
    yield "\n## Held-out test\n"
    yield from _scores(evidence)
    yield "\n## Where it is weak\n"
    yield from _weaknesses(evidence, folder)
    yield "\n## Why it says so\n"
    yield from _explanations(evidence)
    yield "\n## Data\n"
    yield from _data(evidence)
    yield "\n## Made by\n"
    yield from _made_by(evidence)


def _scores(evidence: Evidence) -> Iterator[str]:
    test = evidence.evaluation["test"]
    overall = test["overall"]
    yield f"{overall['images']} images of {overall['groups']} groups; 95 % intervals by group. {overall['warning']}\n"
    named = [(name, overall) for name in SHOWN_METRICS if overall["metrics"].get(name) is not None]
    yield from _table(["metric", "test"], [[name, _interval(scores, name)] for name, scores in named])
    calibrated = test["calibrated"]
    temperature = evidence.evaluation["temperature"]
    yield f"\nProbabilities are calibrated on validation (temperature {temperature['value']:.3g}):"
    yield f"ECE {format_metric(calibrated['ece_adaptive'])}, Brier {format_metric(calibrated['brier'])} on test."
    point = evidence.evaluation["operating_point"]
    if point.get("threshold") is not None and point.get("test"):
        sensitivity, specificity = (format_interval(point["test"][name]) for name in ("sensitivity", "specificity"))
        yield f"\nAt the threshold that keeps {point['stated_specificity']:.0%} specificity on validation, on test:"
        yield f"sensitivity {sensitivity}, specificity {specificity}."
    for name, (mean, deviation, count) in evidence.seeds.items():
        if name == evidence.metric:
            yield f"\nTrained from {count} seeds: validation {name} {mean:.4f} ± {deviation:.4f}."


def _weaknesses(evidence: Evidence, folder: EvidenceFolder) -> Iterator[str]:
    test = evidence.evaluation["test"]
    rows = [
        [name, str(scores["images"]), _interval(scores, "auroc"), _interval(scores, "accuracy")]
        for name, scores in sorted(test["per_modality"].items())
    ]
    yield from _table(["modality", "images", "AUROC", "accuracy"], rows)
    yield ""
    rows = [
        [_plain(one["name"]), str(one["support"]), format_metric(one["recall"]), format_metric(one["precision"])]
        for one in test["per_class"]
    ]
    yield from _table(["class", "images", "recall", "precision"], rows)
    worst = _worst(folder)
    yield f"\nIts surest mistakes on {len(folder.test.rows)} test images, by digest, as names may tell who it is:\n"
    yield from _table(["image", "modality", "true", "predicted", "probability"], worst) if worst else ["It made none."]
    if worst and (folder.path / FAILURES_FILE).is_file():
        yield f"\n![the surest mistakes, named by digest]({FAILURES_FILE})"


def _worst(folder: EvidenceFolder) -> list[list[str]]:
    test, classes = folder.test, folder.evidence.classes
    probs_NK = test.probs_NK
    predicted_N = probs_NK.argmax(axis=1)
    wrong = [n for n in range(len(test.rows)) if predicted_N[n] != test.labels_N[n]]
    wrong.sort(key=lambda n: -float(probs_NK[n].max()))
    return [
        [
            test.rows[n].sha256,
            _plain(test.rows[n].modality),
            _plain(classes[test.rows[n].label]),
            _plain(classes[int(predicted_N[n])]),
            f"{probs_NK[n].max():.3f}",
        ]
        for n in wrong[:MOST_FAILURES]
    ]


def _explanations(evidence: Evidence) -> Iterator[str]:
    if evidence.unexplained:
        yield f"Explaining it gave no map that is judged: {_plain(evidence.unexplained)}"
        return
    if not evidence.explanations:
        yield "Nothing was explained: nothing is known of what it looks at."
        return
    yield "A map shows what the model's answer hung on, not what is ill. Each is held against maps that know nothing of"
    yield "the model (controls), and must change when the model's weights are replaced by noise."
    yield ""
    for name, verdict in evidence.explanations.items():
        yield f"- {_plain(name)} ({_plain(verdict.method)}): " + "; ".join(map(_plain, verdict.sentences))


def _data(evidence: Evidence) -> Iterator[str]:
    counts = ", ".join(f"{side} {sum(classes.values())}" for side, classes in evidence.images.items())
    yield f"- images: {counts}; licence: {evidence.licence}"
    yield f"- split: {evidence.split}, groups by {evidence.grouped_by}"
    leaking = sum(evidence.leaks.values())
    yield f"- test images that development has seen: {leaking or 'none'}"
    clean = evidence.evaluation.get("test_leak_free")
    if leaking and clean:
        metric, scores = evidence.metric, clean["scores"]
        said = f"{metric} {_interval(scores, metric)}" if scores else clean["reason"]
        yield f"- on the {clean['images']} that it has not seen: {said}"
    yield f"- digests: data `{evidence.data_digest}`, split `{evidence.split_digest}`, test `{evidence.test_digest}`"
    if evidence.audit:
        yield f"- audit: {evidence.audit.get('verdict')}"
        for finding in evidence.audit.get("findings", []):
            yield f"  - {finding['severity']}: {_plain(str(finding['title']))}"


def _made_by(evidence: Evidence) -> Iterator[str]:
    cost = evidence.cost
    commit, dirty = evidence.code.get("commit", "unknown"), evidence.code.get("dirty") == "true"
    yield f"- sweep `{evidence.sweep_id}`, trial {evidence.trial}, seed {evidence.seed}, plan `{evidence.plan_digest}`"
    yield f"- code `{commit}`{' with changes' if dirty else ''}; {evidence.source}"
    settings = ", ".join(f"{name}={value}" for name, value in evidence.hyperparameters.items())
    yield f"- hyperparameters: {_plain(settings)}"
    size = "an unknown number of" if cost.parameters is None else f"{cost.parameters:,}"
    yield f"- {size} parameters, {cost.epochs} epochs in {cost.training_s:.0f} s; chosen by {evidence.chosen_by}"
    if cost.image_ms is not None:
        yield f"- one image takes {cost.image_ms:.3g} ms ({_plain(cost.machine)})"
    yield "- how to use it: `artifacts/classifier/MODEL_CARD.md`"


def _interval(scores: dict[str, Any], name: str) -> str:
    return format_interval((scores["metrics"].get(name), *scores["intervals"].get(name, (None, None))))


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"|{'|'.join(['---'] * len(titles))}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _plain(text: str) -> str:
    """Return a text that is no Markdown and no HTML: names come from data."""
    flat = " ".join(text.split())
    for sign in "\\`*_[]|<>#":
        flat = flat.replace(sign, f"\\{sign}" if sign not in "<>" else ("&lt;" if sign == "<" else "&gt;"))
    return flat
