"""Packaged classifiers explained: by the code in their folder, whatever the project's code says now."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from explain_support import small_model
from packaged_support import noise, png, write_smoke

from trainables.catalog import ARCHITECTURES, default_hyperparameters
from trainables.configs.baseline_cnn import BaselineCNNConfig
from trainables.configs.record import Architecture
from trainables.errors import ExplanationError
from trainables.explain.case_panels import Case, write_panels
from trainables.explain.explained import Explained
from trainables.explain.explainers import Explainer
from trainables.explain.packaged import explainers_for, load_packaged
from trainables.models import build_model, save_weights
from trainables.packaging import write_standalone

SIDE_PX = 16
BRIGHT = """
from torch import nn


class Bright(nn.Module):
    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(1, 2, 1)
        self.act = nn.ReLU()

    def forward(self, x_B1HW):
        return SIGN * self.act(self.maps(x_B1HW)).mean(dim=(2, 3))


def build(hyperparameters, num_classes, pretrained):
    return Bright()
"""


def write_bright(folder: Path) -> Path:
    """Write a classifier whose answers rest on bright pixels, of an architecture that is then gone and changed."""
    code = folder.parent / "code" / "bright.py"
    code.parent.mkdir()
    code.write_text(BRIGHT.replace("SIGN", "1"))
    weights = torch.nn.Module()
    weights.maps = torch.nn.Conv2d(1, 2, 1)
    torch.nn.init.zeros_(weights.maps.bias)
    weights.maps.weight.data = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1)
    save_weights(weights, folder.parent / "bright.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(code.parent)
        patch.setitem(
            ARCHITECTURES, "bright", Architecture("bright", BaselineCNNConfig, "bright:build", (), None, "a test", {})
        )
        write_standalone(
            folder,
            architecture="bright",
            hyperparameters={"image_px": SIDE_PX},
            classes=("dark", "bright"),
            weights=folder.parent / "bright.safetensors",
        )
    code.write_text(BRIGHT.replace("SIGN", "-1"))
    return folder


def test_the_code_in_the_folder_is_explained_also_of_an_architecture_that_is_gone(tmp_path: Path) -> None:
    packaged = load_packaged(write_bright(tmp_path / "bright"))
    spot_HW = np.zeros((SIDE_PX, SIDE_PX), dtype=np.uint8)
    spot_HW[3, 5] = 255
    answers = packaged.answers([[b"no image"], [png(spot_HW)]])
    assert [bool(reason) for reason in answers.reasons] == [True, False]
    np.testing.assert_array_equal(answers.images_NMHW[1, 0], spot_HW)
    explained = packaged.explained(answers.images_NMHW[1:])
    explainers, refused = explainers_for(explained, None)
    assert ([one.name for one in explainers], refused) == (["model"], [])
    (map_HW,) = explained.maps(explainers, [0], [1])["model"].maps_BHW
    assert np.unravel_index(map_HW.argmax(), map_HW.shape) == (3, 5)
    assert map_HW.max() > 0


def test_probabilities_have_the_temperature_and_images_are_those_that_the_model_was_given(tmp_path: Path) -> None:
    packaged = load_packaged(write_smoke(tmp_path / "cnn", "baseline_cnn", temperature=3.0))
    answers = packaged.answers([[png(noise(1))], [png(noise(2))]])
    explained = packaged.explained(answers.images_NMHW)
    with torch.inference_mode():
        logits_BK = explained.model(explained.input_of([0, 1]))
    np.testing.assert_allclose(answers.probs_NK, (logits_BK / 3.0).softmax(dim=1).numpy(), rtol=1e-5)
    raw = explained.maps(explained.architecture.explainers, [0, 1], [0, 0])["CNN"]
    np.testing.assert_allclose(raw.logits_BK, logits_BK.numpy(), rtol=1e-4)


def test_both_branches_are_compared_with_a_black_image_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hyperparameters = default_hyperparameters("resnet_vit") | dict(ARCHITECTURES["resnet_vit"].smoke) | {"image_px": 64}
    torch.manual_seed(0)
    save_weights(build_model("resnet_vit", hyperparameters, 2), tmp_path / "w.safetensors")
    write_standalone(
        tmp_path / "hybrid",
        architecture="resnet_vit",
        hyperparameters=hyperparameters,
        classes=("normal", "stroke"),
        weights=tmp_path / "w.safetensors",
    )
    packaged = load_packaged(tmp_path / "hybrid")
    explained = packaged.explained(packaged.answers([[png(noise(n))] for n in range(2)]).images_NMHW)
    explainers = [one for one in explained.architecture.explainers if one.name in ("ResNet", "ViT")]
    cases = [Case(f"{n}", n, 1, f"image {n}", {"number": f"{n}"}) for n in range(2)]
    notes, steps = [], []
    monkeypatch.setattr(
        "trainables.explain.case_panels.draw_panel", lambda path, panel, colormap: notes.append(panel.notes)
    )
    tables = []
    for batch in (1, 16):
        monkeypatch.setattr("trainables.explain.case_panels.BATCH", batch)
        folder = tmp_path / f"{batch}"
        folder.mkdir()
        write_panels(
            folder, explained, explainers, cases, packaged.black_images(), progress=lambda *step: steps.append(step)
        )
        tables.append(list(csv.DictReader((folder / "cases.csv").open())))
    assert steps == [("explaining", 1, 2), ("explaining", 2, 2), ("explaining", 2, 2)]
    assert all("Logit above that of a black image" in own[0] for own in notes)
    assert notes[0][0].startswith("ResNet or ViT: the same everywhere. "), "an untrained one"
    assert notes[0][-1].startswith("ResNet: Grad-CAM at cnn.layer4, where")
    (alone := tmp_path / "alone").mkdir()
    write_panels(alone, explained, explainers[:1], cases, packaged.black_images())
    by_method, refused = explainers_for(explained, Explainer("relevance"))
    assert ([one.name for one in by_method], refused) == (["ViT"], []), "the record knows where"
    assert notes[-1][0].startswith("Logit above that of a black image"), "also where one branch's map is shown alone"
    assert [row.pop("no_positive_evidence") for row in tables[0]] == [
        row.pop("no_positive_evidence") for row in tables[1]
    ]
    for one, other in zip(*tables, strict=True):
        assert [float(value or -9) for value in one.values()] == pytest.approx(
            [float(value or -9) for value in other.values()], abs=1e-6
        )
        above = float(one["logit_above_baseline"])
        assert above == pytest.approx(float(one["shapley_ResNet"]) + float(one["shapley_ViT"]), abs=1e-5)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (Explainer("gradcam", "features.-1"), "CNN"),
        (Explainer("auto", "features.-1"), "CNN"),
        (Explainer("gradcam", "features.5"), "CNN"),  # the same layer, counted from the front
        (Explainer("layercam", "features.-1"), "LayerCAM at features.5"),
        (Explainer("occlusion"), "occlusion"),
    ],
)
def test_an_explainer_that_is_asked_for_has_the_records_name_or_says_what_it_is(
    tmp_path: Path, asked: Explainer, name: str
) -> None:
    packaged = load_packaged(write_smoke(tmp_path / "cnn", "baseline_cnn"))
    explained = packaged.explained(packaged.answers([[png(noise())]]).images_NMHW)
    (explainer,), refused = explainers_for(explained, asked)
    assert (explainer.name, refused) == (name, [])


def test_why_the_records_own_map_of_a_method_cannot_be_is_told_for_one_image_too(tmp_path: Path) -> None:
    model, images_NMHW = small_model("resnet_vit", 2, image_px=32).eval(), np.zeros((1, 1, 32, 32), np.uint8)
    with pytest.raises(ExplanationError, match=r"^--method gradcam: ResNet: layer cnn.layer4: .* is one cell"):
        explainers_for(Explained(ARCHITECTURES["resnet_vit"], model, images_NMHW), Explainer("gradcam"))


def test_what_is_no_packaged_classifier_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ExplanationError, match=r"^cannot be loaded, .* No such file or directory: 'config\.json'\)$"):
        load_packaged(tmp_path)
    folder = write_smoke(tmp_path / "cnn", "baseline_cnn")
    (folder / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(ExplanationError, match=r"^cannot be loaded, it is no classifier of this project or damaged"):
        load_packaged(folder)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ExplanationError, match=r"No such file or directory: weights\.safetensors\)$"):
        load_packaged(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"format_version": 1}))
    with pytest.raises(ExplanationError, match=r"^was registered before models could be explained"):
        load_packaged(folder)
