"""The only way to the test images: a line in the ledger, then rows and pixels as they were planned."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from orchestrator.test_ledger import TestRead, record_test_read
from trainables.data.cache import digest_file, open_cases
from trainables.data.split_rows import SplitRow, digest_rows, read_rows, write_rows
from trainables.errors import DataError
from trainables.explain.settings import ExplanationSettings

if TYPE_CHECKING:
    from trainables.data.prepare import PreparedData

    FindMask = Callable[..., np.ndarray | None]


class TestData(BaseModel):
    """Where the test images are; only an evaluation of finished models is given one, and opening it is noted."""

    __test__ = False  # not a test class, whatever pytest thinks of the name
    model_config = ConfigDict(frozen=True)

    rows: Path
    rows_digest: str
    test_digest: str
    arrays: dict[str, Path]
    array_digests: dict[str, str]
    ledger: Path
    who: str
    root: Path  # of the set: a phantom there knows where its lesions are
    explaining: ExplanationSettings
    is_shipped: bool = False  # images, ledger and masks are on the driver's machine, this may be another

    @classmethod
    def write(
        cls,
        path: Path,
        data: "PreparedData",
        ledger: Path,
        who: str,
        explaining: ExplanationSettings,
        is_shipped: bool = False,
    ) -> "TestData":
        """Write the rows to `path`; the ledger will name `who`. `is_shipped`: it may be opened on any node."""
        write_rows(path, data.test.rows)
        return cls(
            rows=path,
            rows_digest=digest_rows(data.test.rows),
            test_digest=data.test_digest,
            arrays=data.test.arrays,
            array_digests=data.test.array_digests,
            ledger=ledger,
            who=who,
            root=data.examined.data_set.root,
            explaining=explaining,
            is_shipped=is_shipped,
        )

    def open(self, model: str, view: str, why: str) -> tuple[list[SplitRow], np.ndarray]:
        """Return rows and images_NMHW after a line in the ledger. Raises DataError where either was changed."""
        rows = read_rows(self.rows, self.rows_digest)
        read = TestRead(
            test_digest=self.test_digest, images=len(rows), purpose="evaluation", who=self.who, model=model, why=why
        )
        note, array = record_test_read, self.arrays[view]
        if self.is_shipped:
            from orchestrator.tuning.shipping import note_on_driver, on_this_node

            note, array = note_on_driver, on_this_node(array, self.array_digests[view])
        if digest_file(array) != self.array_digests[view]:
            raise DataError(f"{array}: the decoded test images were changed since the plan")
        note(self.ledger, read)
        return rows, open_cases(array, len(rows))

    def lesion_masks(self) -> "FindMask":
        """Return what finds the mask of an image, see LesionMasks.find."""
        if self.is_shipped:
            from orchestrator.tuning.shipping import mask_from_driver

            return partial(mask_from_driver, self.root)
        from trainables.explain.masks import LesionMasks

        return LesionMasks(self.root).find
