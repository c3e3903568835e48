"""Where the planted lesion lies: a phantom's masks, on the same grid as the images that a model is given.

Only phantoms have such masks: what lies in a folder masks/ of a real set could mean anything.
"""

import os
from pathlib import Path

import numpy as np

from trainables.data.images import UnreadableImage, brain_box, decode_grey, resize_square
from trainables.data.layouts.parquet_files import read_column
from trainables.data.records import is_marked
from trainables.data.views import View
from trainables.errors import DataError

FOLDER = "masks"


class LesionMasks:
    """The masks of a data set's images, by the names that its rows give them; columns of tables are read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._columns: dict[Path, list[object]] = {}

    def find(self, path: str, view: View) -> np.ndarray | None:
        """Return mask_HW (bool, of the view's size); None where the set is no phantom, or nothing is planted here.

        `path` is that of a `SplitRow` or `ImageRecord`, "data/train.parquet#17" for a row of a table. The mask is
        cropped and resized as the image is: a pixel belongs to the lesion where more than half of it does;
        of a lesion that covers half a pixel nowhere, the most covered pixels stay. In Alzheimer's phantoms the mask is
        of the ventricles, at every stage. Raises DataError for a mask that cannot be read.
        """
        file = self._file(path)
        if file is None:
            return None
        try:
            mask_HW = decode_grey(file.read_bytes()) > 127
        except FileNotFoundError:
            return None
        except (OSError, UnreadableImage) as error:
            raise DataError(f"{file}: the mask cannot be read ({error}); make the phantom again") from error
        if view.crop_margin_px is not None:
            mask_HW = mask_HW[brain_box(self._image_HW(path), view.crop_margin_px)]
        return shrink_mask(mask_HW, view.side_px) if mask_HW.any() else None

    def _image_HW(self, path: str) -> np.ndarray:  # noqa: N802
        table, _, row = path.rpartition("#")
        if table.lower().endswith(".parquet") and row.isdecimal() and not (self._root / path).is_file():
            content = read_column(self._root / table, "image.bytes")[int(row)]
        else:
            content = (self._root / path).read_bytes()
        assert isinstance(content, bytes)
        return decode_grey(content)

    def _file(self, path: str) -> Path | None:
        table, _, row = path.rpartition("#")
        inside = self._root / path
        if table.lower().endswith(".parquet") and row.isdecimal() and not inside.is_file():
            inside = self._root / table
            name = self._name_in(inside, int(row))
        else:
            name = None
        real = Path(os.path.realpath(inside))  # by a link, or named from within the phantom
        phantom = next((folder for folder in real.parents if is_marked(folder)), None)
        if phantom is None or (name is None and inside.suffix.lower() == ".parquet"):
            return None
        relative = Path(name) if name is not None else real.relative_to(phantom)
        if relative.is_absolute() or ".." in relative.parts:
            return None
        return phantom / FOLDER / relative.with_suffix(".png")

    def _name_in(self, table: Path, row: int) -> str | None:
        """Return what a table calls the image of a row: its mask bears that name."""
        if table not in self._columns:
            self._columns[table] = read_column(table, "image.path")
        names = self._columns[table]
        name = names[row] if row < len(names) else None
        return name if isinstance(name, str) and name else None


def shrink_mask(mask_HW: np.ndarray, side_px: int) -> np.ndarray:
    """Return a mask (bool) as a square of side_px; never empty where something was marked."""
    cover_HW = resize_square(mask_HW.astype(np.float32), side_px)
    least = min(0.5, float(np.nextafter(cover_HW.max(), np.float32(0))))  # of a sliver, what covers most
    return np.asarray((cover_HW > least) & mask_HW.any())
