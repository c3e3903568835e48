"""The only way to the test images: a line in the ledger, then rows and pixels as they were planned."""

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

    @classmethod
    def write(
        cls, path: Path, data: "PreparedData", ledger: Path, who: str, explaining: ExplanationSettings
    ) -> "TestData":
        """Write the rows to `path`; the ledger will name `who`."""
        write_rows(path, data.test.rows)
        return cls(
            rows=path,
            rows_digest=digest_rows(data.test.rows),
            test_digest=data.test_digest,
            arrays=data.test.arrays,
            array_digests=data.test.array_digests(),
            ledger=ledger,
            who=who,
            root=data.examined.data_set.root,
            explaining=explaining,
        )

    def open(self, model: str, view: str, why: str) -> tuple[list[SplitRow], np.ndarray]:
        """Return rows and images_NMHW after a line in the ledger. Raises DataError where either was changed."""
        rows = read_rows(self.rows, self.rows_digest)
        if digest_file(self.arrays[view]) != self.array_digests[view]:
            raise DataError(f"{self.arrays[view]}: the decoded test images were changed since the plan")
        record_test_read(
            self.ledger,
            TestRead(
                test_digest=self.test_digest,
                images=len(rows),
                purpose="evaluation",
                who=self.who,
                model=model,
                why=why,
            ),
        )
        return rows, open_cases(self.arrays[view], len(rows))
