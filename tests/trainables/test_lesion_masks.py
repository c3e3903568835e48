"""A row of a phantom finds its mask, on the grid of its image; other sets have none."""

from pathlib import Path

import numpy as np
import pytest
from phantom_support import mask_path, read_pictures
from PIL import Image

from trainables.catalog import TASKS
from trainables.data.images import decode_grey, resize_square
from trainables.data.phantom import PHANTOMS
from trainables.data.read import read_data_set
from trainables.data.records import PHANTOM_MARK
from trainables.data.views import View
from trainables.errors import DataError
from trainables.explain.masks import LesionMasks, shrink_mask


@pytest.mark.parametrize("task", list(PHANTOMS))
def test_every_image_finds_its_own_mask(task: str, tmp_path: Path) -> None:
    PHANTOMS[task](tmp_path, 8, 2)
    pictures = {picture.content: picture for picture in read_pictures(tmp_path)}
    data_set = read_data_set(TASKS[task], tmp_path)
    masks = LesionMasks(data_set.root)
    paths = [path for record in data_set.records for path in (record.path, record.second_path) if path]
    found = 0
    for path in paths:
        file = mask_path(tmp_path, pictures[data_set.read(path)])
        mask_HW = masks.find(path, View(64))
        assert (mask_HW is not None) == file.is_file()
        if mask_HW is not None:
            found += 1
            assert mask_HW.dtype == bool and mask_HW.shape == (64, 64)
            share = (np.asarray(Image.open(file)) > 127).mean()
            assert mask_HW.mean() == pytest.approx(share, abs=0.01)
    assert found >= len(paths) / 3


def test_the_mask_lies_where_the_image_shows_the_lesion(tmp_path: Path) -> None:
    """The grids agree to a fraction of a pixel: a mask stored as an image comes out of both ways at the same place."""
    PHANTOMS["tumor_binary"](tmp_path, 4, 0)
    masks = LesionMasks(tmp_path)
    for file in sorted((tmp_path / "masks").rglob("*.png"))[:4]:
        picture = next((tmp_path / "yes").glob(f"{file.stem}.*")).relative_to(tmp_path).as_posix()
        as_image_HW = resize_square(decode_grey(file.read_bytes()), 48)
        mask_HW = masks.find(picture, View(48))
        assert mask_HW is not None
        assert np.array_equal(mask_HW, as_image_HW > 127)


def test_links_and_other_roots_lead_to_the_same_mask(tmp_path: Path) -> None:
    PHANTOMS["stroke"](tmp_path / "set", 8, 2)
    record = next(one for one in read_data_set(TASKS["stroke"], tmp_path / "set").records if one.label == 1)
    whole = LesionMasks(tmp_path / "set").find(record.path, View(32))
    assert whole is not None
    (tmp_path / "link").symlink_to(tmp_path / "set" / "deep")
    for root, path in (
        (tmp_path / "set" / "deep", record.path.removeprefix("deep/")),
        (tmp_path / "link", record.path.removeprefix("deep/")),
        (tmp_path, f"set/{record.path}"),
        (Path("/"), f"{tmp_path}/set/{record.path}"),
    ):
        assert np.array_equal(LesionMasks(root).find(path, View(32)), whole)


def test_a_folder_of_masks_in_a_real_set_means_nothing(tmp_path: Path) -> None:
    PHANTOMS["tumor_binary"](tmp_path, 4, 0)
    assert LesionMasks(tmp_path).find("yes/Y1.jpg", View(32)) is not None
    (tmp_path / PHANTOM_MARK).unlink()
    assert LesionMasks(tmp_path).find("yes/Y1.jpg", View(32)) is None


def test_what_is_missing_or_damaged(tmp_path: Path) -> None:
    PHANTOMS["tumor_binary"](tmp_path, 4, 0)
    assert LesionMasks(tmp_path).find("yes/nobody.jpg", View(32)) is None
    assert LesionMasks(tmp_path).find("no/1 no.jpg", View(32)) is None
    (tmp_path / "masks" / "yes" / "Y1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="make the phantom again"):
        LesionMasks(tmp_path).find("yes/Y1.jpg", View(32))


def test_a_sliver_does_not_vanish() -> None:
    mask_HW = np.zeros((64, 64), dtype=bool)
    assert not shrink_mask(mask_HW, 8).any()
    mask_HW[20, 30] = True
    assert np.argwhere(shrink_mask(mask_HW, 8)).tolist() == [[2, 3]]
    assert shrink_mask(np.ones((64, 64), dtype=bool), 8).all()
