"""What is said of the data before anything is trained on them."""

from collections.abc import Iterator

from orchestrator.plan import DataSummary


def data_lines(data: DataSummary) -> Iterator[str]:
    """Yield a line for what they are, and one for everything that a reader of the scores must know."""
    kind = "phantom data (--data DIR takes yours)" if data.kind == "phantom" else "real data"
    cases = sum(sum(counts.values()) for counts in data.images.values())
    yield f"{kind}, {cases} cases, {data.split} split, grouped by {data.grouped_by}"
    if data.unreadable:
        yield f"{data.unreadable} images cannot be read and are left out (unreadable.tsv in the folder of the result)"
    leaking = sum(data.leaks.values())
    if leaking:
        why = ", ".join(f"{count} {reason}" for reason, count in data.leaks.items())
        way_out = ", --split grouped draws a test set of its own" if data.split == "shipped" else ""
        yield (
            f"LEAK: {leaking} of {sum(data.images['test'].values())} test images were seen in development ({why}); "
            f"their scores stand apart (orchestrate data check shows them){way_out}"
        )
    if data.grouped_by != "patient":
        yield "no patients.csv for all images: subjects are guessed from the pictures, so no score is patient-level"
    for note in data.notes:
        yield f"data: {note}"
