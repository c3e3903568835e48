"""Which cases a user wants judged or explained: single images by their paths, or pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import BadInput
from trainables.catalog import TASKS
from trainables.data.unlabelled_cases import UnlabelledCase, list_cases, one_case, single_images
from trainables.errors import DataError


@dataclass(frozen=True)
class AskedCases:
    """What the command line names: `paths` of images, or one `pair`, or a table of `pairs`."""

    paths: Sequence[str] = ()
    pair: tuple[str, str] | None = None
    pairs: Path | None = None

    def listed(self, reference: str) -> list[UnlabelledCase]:
        """Return the cases for the model that `reference` names; none is opened. Raises BadInput."""
        name = reference.partition("@")[0].removesuffix("_phantom")
        names = TASKS[name].image_names if name in TASKS else ()
        ways = [way for way, given in (("PATH", self.paths), ("--pair", self.pair), ("--pairs", self.pairs)) if given]
        if len(ways) > 1:
            raise BadInput(f"{' and '.join(ways)}: one of them says which images; leave the others out")
        if names and not ways:
            raise BadInput("no images: name them by PATH" if len(names) == 1 else f"no images: {_way_out(names)}")
        if len(names) == 1 and not self.paths:
            raise BadInput(f"{ways[0]}: a case of {name} is one image; name images by PATH")
        if len(names) > 1 and self.paths:
            raise BadInput(f"{self.paths[0]}: a case of {name} is {len(names)} images; {_way_out(names)}")
        try:
            if self.pair is not None:
                return [one_case(self.pair)]
            if self.pairs is not None:
                return list_cases(self.pairs, [column.lower() for column in names or ("ct", "mri")])
            return single_images(self.paths)
        except DataError as error:
            raise BadInput(str(error)) from error

    @property
    def files(self) -> list[Path]:
        """Return the files that are named."""
        return [*map(Path, [*self.paths, *(self.pair or ())]), *([self.pairs] if self.pairs else [])]


def _way_out(names: Sequence[str]) -> str:
    columns = ", ".join(name.lower() for name in names)
    return f"say --pair {' '.join(names)}, or --pairs FILE.csv with the columns {columns}"
