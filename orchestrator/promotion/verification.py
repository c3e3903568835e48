"""Is what a version's evidence says still true of the predictions it keeps? Everything is reckoned again, offline."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from orchestrator.errors import BadInput
from orchestrator.promotion.checks import Check
from orchestrator.promotion.evidence import EVIDENCE_FILE, SIDES, EvidenceFolder, digest_of, table_file
from trainables.evaluation.evaluation import evaluate

TOLERANCE = 1e-6  # other processors add in another order, and a temperature is found by steps
MOST_DIFFERENCES = 5
NEEDS_IMAGES = "repairing"  # the score with partners shuffled: a digest keeps it, no table does


def verify(folder: EvidenceFolder, digest: str | None) -> list[Check]:
    """Return what was compared: digests of the files, then each number. `digest` is what the registry keeps of them."""
    try:
        evidence, checks = folder.evidence, check_files(folder, digest)
    except BadInput as error:
        return [Check(EVIDENCE_FILE, str(error), "the file that was registered", passed=False)]
    try:
        predictions = [folder.predictions(side) for side in SIDES]
        again = json.loads(json.dumps(asdict(evaluate(evidence.as_task(), *predictions))))
        del again[NEEDS_IMAGES]
    except (BadInput, ValueError) as error:  # of a changed task, such as classes in another order of severity
        return [*checks, Check("numbers", str(error), "tables and a task that can be evaluated", passed=False)]
    known = {key: value for key, value in evidence.evaluation.items() if key in again}
    differences = sorted(_differences(known, again, ""), key=lambda text: not text.startswith("test.overall.metrics"))
    shown = "; ".join(differences[:MOST_DIFFERENCES])
    more = f" and {len(differences) - MOST_DIFFERENCES} more" if len(differences) > MOST_DIFFERENCES else ""
    numbers = sum(1 for _ in _numbers(again))
    untold = "" if evidence.evaluation.get(NEEDS_IMAGES) is None else " (not those with partners shuffled)"
    value = f"{numbers} reckoned again{untold}" + (f", {len(differences)} differ: {shown}{more}" if differences else "")
    checks.append(Check("numbers", value, f"as evidence.json has them, within {TOLERANCE:g}", passed=not differences))
    return checks


def check_files(folder: EvidenceFolder, digest: str | None) -> list[Check]:
    """Return whether each file is the one that was registered. Raises BadInput as `verify`."""
    found = digest_of(folder.path / EVIDENCE_FILE)
    checks = []
    if digest is not None:
        rule = "the digest that the registry keeps"
        checks.append(Check(EVIDENCE_FILE, found[:16], f"{rule}: {digest[:16]}", passed=found == digest))
    for side in SIDES:
        own = digest_of(folder.path / table_file(side))
        kept = folder.evidence.predictions_sha256.get(side, "")
        rule = f"the digest in {EVIDENCE_FILE}: {kept[:16]}"
        checks.append(Check(table_file(side), own[:16] or "is missing", rule, passed=own == kept))
    for name, kept in folder.evidence.files_sha256.items():
        own = digest_of(folder.path / name)
        rule = f"the digest in {EVIDENCE_FILE}: {kept[:16]}"
        checks.append(Check(name, own[:16] or "is missing", rule, passed=own == kept))
    return checks


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _numbers(child)
    elif isinstance(value, int | float):
        yield value


def _differences(kept: object, again: object, where: str) -> Iterator[str]:
    if isinstance(kept, dict) and isinstance(again, dict):
        for key in {**kept, **again}:
            yield from _differences(kept.get(key), again.get(key), f"{where}.{key}".lstrip("."))
    elif isinstance(kept, list) and isinstance(again, list) and len(kept) == len(again):
        for number, (one, other) in enumerate(zip(kept, again, strict=True)):
            yield from _differences(one, other, f"{where}[{number}]")
    elif isinstance(kept, int | float) and isinstance(again, int | float):
        if not abs(kept - again) <= TOLERANCE:  # NaN is no number that anything agrees with
            yield f"{where} {kept:.6g}, now {again:.6g}"
    elif kept != again:
        yield f"{where} {kept!r}, now {again!r}"
