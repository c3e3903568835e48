"""pairs.csv beside an audit: which CT and which MR image were taken for one case, on which side, by which rule."""

import csv
from pathlib import Path

from trainables.audit.facts import AuditInput
from trainables.catalog import Task
from trainables.data.examine import ExaminedData

COLUMNS = ("ct", "mri", "class", "side", "group", "paired_by", "ct_sha256", "mri_sha256")


def write_made_pairs(path: Path, task: Task, examined: ExaminedData, images: AuditInput) -> None:
    """Write a row per readable case; sides are those of `images`, empty where the set ships none.

    Paths are relative to the set's root, and groups stand for patients, whose ids are in no artifact. Without the
    other columns the table is what a reader of the set takes as pairs.csv.
    """
    facts = examined.data_set.pairing
    paired_by = "manifest" if facts is None else facts.paired_by
    side_of = {image.case: image.shipped or "" for image in images.images}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, case in enumerate(examined.cases):
            record, (ct, mr) = case.record, case.rows
            own = (record.path, record.second_path, task.classes[record.label], side_of[number])
            digests = (examined.digests[ct], examined.digests[mr])
            writer.writerow((*own, examined.groups.names[number], paired_by, *digests))
