"""The packaged classifier: which images it takes and refuses, and that temperature and order of images count."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from packaged_support import TEMPERATURE, in_base64, noise, png, write_smoke, write_two_images

from trainables.models import build_model, load_weights
from trainables.standalone import Classifier


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return write_smoke(tmp_path_factory.mktemp("smoke") / "classifier", "baseline_cnn")


@pytest.fixture(scope="module")
def classifier(folder: Path) -> Classifier:
    return Classifier(folder)


def test_bytes_base64_paths_and_arrays_are_the_same_image(classifier: Classifier, tmp_path: Path) -> None:
    content = png(noise())
    path = tmp_path / "image.png"
    path.write_bytes(content)
    text = in_base64(content)
    broken_text = "\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    cases = [content, bytearray(content), text, broken_text, f"data:image/png;base64,{text}", path, noise()]
    cases += [np.dstack([noise()] * 3), [content], (path,)]
    probs_NK, reasons = classifier.predict(cases)
    assert reasons == [""] * len(cases)
    assert np.abs(probs_NK - probs_NK[0]).max() < 1e-6
    assert not np.allclose(probs_NK[0], classifier.predict([noise(1)])[0][0], atol=1e-6), "it looks at them"


def test_probabilities_are_those_of_training_with_the_temperature_applied(classifier: Classifier, folder: Path) -> None:
    hyperparameters = json.loads((folder / "config.json").read_text())["hyperparameters"]
    model = build_model("baseline_cnn", hyperparameters, 2).eval()
    load_weights(model, folder / "weights.safetensors")
    images_NHW = np.stack([noise(seed, 32) for seed in range(3)])
    x_B1HW = torch.from_numpy(images_NHW).unsqueeze(1).float() / 255
    with torch.inference_mode():
        logits_BK = model(x_B1HW)
    probs_NK, _ = classifier.predict(list(images_NHW))
    assert np.allclose(probs_NK, torch.softmax(logits_BK / TEMPERATURE, dim=1), atol=1e-6)
    assert not np.allclose(probs_NK, torch.softmax(logits_BK, dim=1), atol=1e-4)
    assert torch.equal(classifier.tensors(list(images_NHW))[0], x_B1HW)
    assert classifier.digests == {"data": "d1", "split": "s1"}


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"no image at all", "not an image of a known format"),
        (b"", "empty file"),
        ("/etc/hostname", "text that is not base64; a path must be a pathlib.Path"),
        (in_base64(b"no image at all"), "not an image of a known format"),
        ("data:image/png,abcd", "a data: URL that is not base64"),
        (Path("/no/such/file.png"), "No such file or directory"),
        (None, "no image"),
        (float("nan"), "no image"),
        (7, "of type int; expected an image file as bytes, base64 text or pathlib.Path, or an array"),
        (np.zeros((2, 4, 4, 3), np.uint8), "a 2 x 4 x 4 x 3 array of uint8; expected numbers HW, or uint8 HW3 (RGB)"),
        ([b"a", b"b"], "2 images, a case of this model is 1: image"),
        ([], "0 images, a case of this model is 1: image"),
        (np.broadcast_to(np.uint8(0), (8000, 8000)), "8000 x 8000 pixels, more than 50000000"),
    ],
)
def test_what_is_no_image_gets_a_reason_and_spoils_no_other(classifier: Classifier, image, reason: str) -> None:
    probs_NK, reasons = classifier.predict([noise(), image, noise()])
    assert reasons == ["", reason, ""]
    assert np.isnan(probs_NK[1]).all()
    assert np.array_equal(probs_NK[0], probs_NK[2])
    with pytest.raises(ValueError) as caught:
        classifier.tensors([noise(), image])
    assert str(caught.value) == f"case 1: {reason}"


def test_of_two_images_each_goes_to_its_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = Classifier(write_two_images(tmp_path / "classifier", monkeypatch))
    dark, bright = np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)
    probs_NK, reasons = two.predict([[bright, dark], [dark, png(bright)], [bright], dark, [dark, b"x"]])
    expected = float(torch.softmax(torch.tensor([4.0, 0.0]), dim=0)[0])
    assert probs_NK[:2] == pytest.approx(np.array([[expected, 1 - expected], [1 - expected, expected]]), abs=1e-6)
    wrong = "1 images, a case of this model is 2: ct, mr"
    assert reasons == ["", "", wrong, wrong, "mr: not an image of a known format"]
    ct_B1HW, mr_B1HW = two.tensors([[bright, dark]])
    assert (ct_B1HW.shape, ct_B1HW.min(), mr_B1HW.max()) == ((1, 1, 8, 8), 1, 0)


def test_the_cards_lines_of_plain_pytorch_do_what_they_say(folder: Path, tmp_path: Path) -> None:
    card = (folder / "MODEL_CARD.md").read_text()
    assert all(words in card for words in ("normal, stroke", "1.7", "data d1, split s1", "not a medical device"))
    code = card.partition("```python\n")[2].partition("```")[0]
    assert len([line for line in code.splitlines() if line.strip() and "import" not in line]) <= 10
    (tmp_path / "classifier").symlink_to(folder)
    (tmp_path / "image.png").write_bytes(png(noise()))
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    probs_NK, _ = Classifier(folder).predict([noise()])
    told = json.loads(done.stdout.replace("'", '"'))
    assert told == pytest.approx(dict(zip(("normal", "stroke"), probs_NK[0].tolist(), strict=True)), abs=1e-6)


def test_an_answer_that_is_no_number_is_no_class(tmp_path: Path) -> None:
    classifier = Classifier(write_smoke(tmp_path / "classifier", "baseline_cnn"))
    with torch.no_grad():
        next(classifier.model.parameters()).fill_(float("nan"))
    probs_NK, reasons = classifier.predict([png(noise())])
    assert reasons == ["the model's answer is no number"] and np.isnan(probs_NK).all()
