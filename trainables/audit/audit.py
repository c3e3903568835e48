"""Copies and subjects of a data set, found once per content and kept in the cache."""

import hashlib
import json
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from trainables.audit.facts import AuditInput
from trainables.audit.near_duplicates import DuplicatePair, find_near_duplicates
from trainables.audit.subjects import SubjectGroups, group_subjects

AUDIT_VERSION = 1  # part of the cache key: raise it when the same images would be judged otherwise


@dataclass(frozen=True)
class Audit:
    """What belongs together in a data set: pairs of copies, and each image's subject."""

    duplicates: list[DuplicatePair]
    subjects: SubjectGroups


def audit_images(images: AuditInput, cache: Path, progress: Callable[[str, int, int], None]) -> Audit:
    """Find copies and subjects; what an earlier audit of the same images and labels found is taken from `cache`."""
    path = cache / f"{_key(images)}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):  # a damaged or removed file is written anew
        found = _load(path)
        if len(found.subjects.group_N) == len(images.images):
            os.utime(path)
            return found
    duplicates = find_near_duplicates(images, progress)
    audit = Audit(duplicates, group_subjects(images, duplicates))
    cache.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part-{secrets.token_hex(4)}")
    part.write_text(_to_json(audit), encoding="utf-8")
    os.replace(part, path)
    return audit


def _key(images: AuditInput) -> str:
    lines = [f"{image.facts.sha256} {image.label} {image.modality}" for image in images.images]
    thumbnails = hashlib.sha256(images.thumbnails_NHW.tobytes()).hexdigest()  # another recipe gives other ones
    content = hashlib.sha256("\n".join([thumbnails, *lines]).encode()).hexdigest()[:24]
    return f"{content}-v{AUDIT_VERSION}"


def _to_json(audit: Audit) -> str:
    subjects = audit.subjects
    return json.dumps(
        {
            "duplicates": [asdict(pair) for pair in audit.duplicates],
            "subjects": {"group_N": subjects.group_N.tolist(), "threshold": subjects.threshold, "why": subjects.why},
        }
    )


def _load(path: Path) -> Audit:
    saved = json.loads(path.read_text(encoding="utf-8"))
    subjects = saved["subjects"]
    return Audit(
        duplicates=[DuplicatePair(**pair) for pair in saved["duplicates"]],
        subjects=SubjectGroups(np.array(subjects["group_N"], dtype=int), subjects["threshold"], subjects["why"]),
    )
