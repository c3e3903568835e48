"""The square that a model is given, of the whole image or of the brain alone: in training, in use, for lesions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from packaged_support import png

from trainables.catalog import TASKS, default_hyperparameters
from trainables.data.images import brain_box, decode_grey, resize_square, square
from trainables.data.phantom import PHANTOMS
from trainables.data.read import read_data_set
from trainables.data.views import View
from trainables.explain.masks import LesionMasks, shrink_mask
from trainables.models import build_model, save_weights
from trainables.packaging import write_standalone
from trainables.standalone import Classifier


def head(height: int = 100, width: int = 120) -> np.ndarray:
    """A bright ellipse in rows 20 to 79 and columns 30 to 99, and a letter in a corner."""
    rows, columns = np.mgrid[:height, :width]
    slice_HW = np.zeros((height, width), np.uint8)
    slice_HW[((rows - 49.5) / 30) ** 2 + ((columns - 64.5) / 35) ** 2 <= 1] = 150
    slice_HW[2:8, 2:8] = 255
    return slice_HW


def test_the_box_lies_around_the_largest_bright_thing() -> None:
    rows, columns = brain_box(head(), 0)
    assert (rows.start, rows.stop) == pytest.approx((20, 80), abs=2)
    assert (columns.start, columns.stop) == pytest.approx((30, 100), abs=2)


def test_a_margin_ends_at_the_edge() -> None:
    plain, wide = brain_box(head(), 0), brain_box(head(), 10)
    assert [side.start for side in wide] == [side.start - 10 for side in plain]
    assert [side.stop for side in wide] == [side.stop + 10 for side in plain]
    assert brain_box(head(), 500) == (slice(0, 100), slice(0, 120))


@pytest.mark.parametrize("what", ["dark", "dim", "letter", "small"])
def test_without_a_brain_the_whole_image_counts(what: str) -> None:
    slice_HW = np.zeros((100, 120), np.uint8)
    if what == "dim":
        slice_HW = head() // 4
    elif what == "letter":
        slice_HW[40:48, 40:48] = 255
    elif what == "small":
        slice_HW = np.full((3, 3), 200, np.uint8)
    assert brain_box(slice_HW, 0) == (slice(0, slice_HW.shape[0]), slice(0, slice_HW.shape[1]))


def test_a_view_is_what_hyperparameters_ask_for() -> None:
    crop = {"image_px": 48, "crop_brain": True, "crop_margin_px": 10}
    assert View.of(crop) == View(48, 10) and View.of(crop).name == "48-brain10"
    assert View.of(crop | {"crop_brain": False}) == View.of({"image_px": 48}) == View(48)
    assert View(48).name == "48" and View(48).crop_margin_px is None and View(48, 0).crop_margin_px == 0
    assert np.array_equal(View(48).square(head()), resize_square(head(), 48))
    assert np.array_equal(View(48, 10).square(head()), resize_square(head()[brain_box(head(), 10)], 48))


def test_a_registered_model_crops_as_in_training(tmp_path: Path) -> None:
    values = default_hyperparameters("vit") | {"vit": "test_vit", "image_px": 32, "crop_margin_px": 5}
    torch.manual_seed(0)
    model = build_model("vit", values, 2).eval()
    save_weights(model, tmp_path / "w.safetensors")
    folder = tmp_path / "model"
    write_standalone(
        folder, architecture="vit", hyperparameters=values, classes=["no", "yes"], weights=tmp_path / "w.safetensors"
    )
    assert "decoded, cropped to the brain with 5 px around it and resized" in (folder / "MODEL_CARD.md").read_text()
    (given_B1HW,) = Classifier(folder).tensors([png(head())])
    assert np.array_equal((given_B1HW[0, 0] * 255).round().numpy(), square(head(), 32, 5))
    assert not np.array_equal((given_B1HW[0, 0] * 255).round().numpy(), square(head(), 32))


def test_a_lesion_is_cropped_as_its_image_is(tmp_path: Path) -> None:
    PHANTOMS["tumor_binary"](tmp_path, 8, 0)
    records = [one for one in read_data_set(TASKS["tumor_binary"], tmp_path).records if one.label == 1]
    masks, view = LesionMasks(tmp_path), View(64, 0)
    seen = 0
    for record in records:
        mask_HW = masks.find(record.path, view)
        if mask_HW is None:
            continue
        seen += 1
        image_HW = decode_grey((tmp_path / record.path).read_bytes())
        whole_HW = decode_grey((tmp_path / "masks" / Path(record.path).with_suffix(".png")).read_bytes()) > 127
        assert np.array_equal(mask_HW, shrink_mask(whole_HW[brain_box(image_HW, 0)], 64))
        assert mask_HW.mean() >= masks.find(record.path, View(64)).mean(), "a crop makes it larger"
    assert seen > 4
