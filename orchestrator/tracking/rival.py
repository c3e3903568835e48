"""A champion that was tested on other images judges those of its challenger, which are read again for that."""

from dataclasses import dataclass, replace
from pathlib import Path

from mlflow import MlflowClient

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.promotion.checks import RivalAnswers
from orchestrator.promotion.evidence import EvidenceFolder
from orchestrator.test_ledger import PROMOTE, TestRead, note_test_read
from orchestrator.test_predictions import development_images
from orchestrator.tracking.answers import ask
from orchestrator.tracking.logged_model import SWEEP_TAG
from orchestrator.tracking.promotion import Judge
from orchestrator.tracking.registry import FoundModel, load_model
from trainables.catalog import TASKS
from trainables.data.decoding import Progress
from trainables.data.labelled import LabelledSet, digests_of
from trainables.errors import DataError
from trainables.evaluation.predictions import case_digest

BATCH = 64


def _unseen(what: str, done: int, of: int) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class HeldOutImages:
    """Where the held-out images of challengers can be read again; `whence` is who named the folder."""

    home: Home
    data: Path
    whence: str

    def judge(self, client: MlflowClient, progress: Progress = _unseen) -> Judge:
        """Return what `promote` asks where a champion was tested on other images."""
        return lambda champion, challenger: self._judged(client, champion, challenger, progress)

    def _judged(
        self, client: MlflowClient, champion: str, challenger: EvidenceFolder, progress: Progress
    ) -> RivalAnswers:
        """Let the champion judge the challenger's test images; the read is noted in the ledger first.

        Raises BadInput where an image is not there, or cannot be read by the champion.
        """
        evidence = challenger.evidence
        images, sha256s = self._find(challenger, progress)
        found = FoundModel(evidence.name, champion, None)
        read = TestRead(
            test_digest=evidence.test_digest,
            images=len(sha256s),
            purpose="evaluation",
            who=PROMOTE,
            model=f"{evidence.name} v{champion}",
            why=f"held against a challenger of sweep {evidence.sweep_id}",
        )
        note_test_read(self.home.test_ledger, read)
        answers = ask(load_model(found), found, TASKS[evidence.task], images, progress)
        for record, reason in zip(images.records, answers.reasons, strict=True):
            if reason:
                raise BadInput(f"{self.whence}: {record.path}: the champion cannot judge it ({reason})")
        sweep_id = client.get_model_version(evidence.name, champion).tags.get(SWEEP_TAG, "")
        seen = development_images(self.home, sweep_id)
        return RivalAnswers(answers.probs_NK, sum(bool(seen & set(own)) for own in sha256s))

    def _find(self, challenger: EvidenceFolder, progress: Progress) -> tuple[LabelledSet, list[list[str]]]:
        """Return the held-out cases in the order of the challenger's table, and the digests of their images."""
        try:
            whole = LabelledSet.of(TASKS[challenger.evidence.task], self.data)
        except (DataError, OSError) as error:
            raise BadInput(f"{self.whence}: {error}") from error
        places: dict[str, int] = {}
        digests: list[list[str]] = []
        for batch in whole.batches(BATCH):
            digests += digests_of(batch)
            progress("looking for the held-out images:", len(digests), len(whole.records))
        for place, own in enumerate(digests):
            places.setdefault(case_digest(own), place)
        wanted = [row.sha256 for row in challenger.test.rows]
        missing = sum(case not in places for case in wanted)
        if missing:
            raise BadInput(
                f"{self.whence}: {missing} of the {len(wanted)} held-out images that the challenger was tested "
                f"on are not in {self.data.name}; name the folder that its sweep was given"
            )
        chosen = [places[case] for case in wanted]
        records = [whole.records[place] for place in chosen]
        return replace(whole, data_set=replace(whole.data_set, records=records)), [digests[place] for place in chosen]
