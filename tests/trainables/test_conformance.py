"""What every architecture must do, at its record's smoke configuration: one place, so that a new one is held to it."""

import ast
import io
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from builders_support import one_per_builder
from PIL import Image
from torch import nn

from trainables.catalog import ARCHITECTURES, architecture, default_hyperparameters
from trainables.layers import layer_numbers
from trainables.models import build_model, count_parameters, load_weights, save_weights
from trainables.packaging import write_standalone

NAMES = [*one_per_builder(), "timm/test_resnet", "timm/test_vit", "timm/test_convnext"]
NUM_CLASSES = 3
PREDICT = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from standalone import Classifier
root = Path(sys.argv[1]).parent
images = [(root / f"{i}.png").read_bytes() for i in range(3)]
probs = {}
for folder in map(Path, sys.argv[1:]):
    classifier = Classifier(folder)
    cases = [[images[(i + m) % 3] for m in range(len(classifier.inputs))] for i in range(3)]
    probs[folder.name] = classifier.predict(cases)[0].tolist()
assert "trainables" not in sys.modules
print(json.dumps(probs))
"""


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    torch.set_num_threads(1)
    return request.param


def hyperparameters(name: str) -> dict[str, Any]:
    return default_hyperparameters(name) | dict(architecture(name).smoke)


def smoke_model(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_model(name, hyperparameters(name), NUM_CLASSES)


def images(name: str, num_cases: int = 8) -> tuple[torch.Tensor, ...]:
    """Return x_B1HW for each image of a case."""
    side_px, generator = hyperparameters(name)["image_px"], torch.Generator().manual_seed(1)
    per_case = architecture(name).images_per_case
    return tuple(torch.rand(num_cases, 1, side_px, side_px, generator=generator) for _ in range(per_case))


def logits(model: nn.Module, images: tuple[torch.Tensor, ...]) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(*images)
    return found


@pytest.mark.parametrize("name", [*ARCHITECTURES, *NAMES[-3:]])
def test_a_record_is_whole(name: str) -> None:
    record = architecture(name)
    assert record is architecture(name), "made once"
    assert record.name == name
    assert json.loads(json.dumps(hyperparameters(name))) == hyperparameters(name), "a registered model's config.json"
    assert hyperparameters(name) == record.config(**hyperparameters(name)).model_dump()
    assert set(record.backbones) <= record.config.model_fields.keys()


def test_its_network_file_stands_alone(name: str) -> None:
    module = import_module(architecture(name).builder.partition(":")[0])
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    named = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    named += [one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names]
    own = [one for one in named if one.partition(".")[0] in ("trainables", "orchestrator", "")]
    assert not own, f"{module.__file__} imports {own}; registered models carry a copy of this file alone"


def test_it_has_as_many_parameters_without_memory(name: str) -> None:
    with torch.device("meta"):
        sketch = build_model(name, hyperparameters(name), NUM_CLASSES)
    model = smoke_model(name)
    assert count_parameters(sketch) == count_parameters(model)
    assert {key: tensor.shape for key, tensor in sketch.state_dict().items()} == {
        key: tensor.shape for key, tensor in model.state_dict().items()
    }
    assert count_parameters(model)[1] < 2_000_000, "smoke"


def test_it_learns_eight_images_by_heart(name: str) -> None:
    model, given = smoke_model(name).train(), images(name)
    labels_B = torch.arange(8) % NUM_CLASSES
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(60):
        loss = F.cross_entropy(model(*given), labels_B)
        if loss < 0.05:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_saved_weights_give_the_same_logits_to_the_bit(name: str, tmp_path: Path) -> None:
    model, other, given = smoke_model(name), smoke_model(name, seed=1), images(name)
    assert not torch.equal(logits(model, given), logits(other, given))
    save_weights(model, tmp_path / "weights.safetensors")
    load_weights(other, tmp_path / "weights.safetensors")
    assert torch.equal(logits(model, given), logits(other, given))


def test_it_can_be_exported(name: str) -> None:
    model, given = smoke_model(name).eval(), images(name)
    any_batch = tuple({0: torch.export.Dim("batch", min=2)} for _ in given)
    with torch.no_grad():
        exported = torch.export.export(model, given, dynamic_shapes=any_batch).module()
    for num_cases in (8, 5):
        few = tuple(x_B1HW[:num_cases] for x_B1HW in given)
        assert torch.allclose(exported(*few), logits(model, few), atol=1e-5)


def test_an_image_is_judged_the_same_alone_and_in_grey_or_colour(name: str) -> None:
    model, given = smoke_model(name), images(name, 4)
    together = logits(model, given)
    one_by_one = zip(*(x_B1HW.split(1) for x_B1HW in given), strict=True)
    assert torch.allclose(torch.cat([logits(model, case) for case in one_by_one]), together, atol=1e-5)
    in_colour = tuple(x_B1HW.repeat(1, 3, 1, 1) for x_B1HW in given)
    assert torch.allclose(logits(model, in_colour), together, atol=1e-5)


def test_it_refuses_what_it_cannot_take(name: str) -> None:
    model, given = smoke_model(name), images(name, 2)
    for spoil in (lambda x_B1HW: x_B1HW.repeat(1, 2, 1, 1), lambda x_B1HW: x_B1HW[0]):
        with pytest.raises(ValueError, match="one channel or three"):
            logits(model, tuple(map(spoil, given)))
    larger = torch.rand(2, 1, 48, 48)
    try:
        assert logits(model, (larger,) * len(given)).shape == (2, NUM_CLASSES), "nothing in it depends on the size"
    except ValueError as error:
        assert "expected images of 32 px" in str(error)


def test_its_backbones_can_be_frozen_by_every_value_that_the_schema_knows(name: str) -> None:
    model = smoke_model(name)
    backbones = getattr(model, "BACKBONES", ())
    assert bool(backbones) == bool(architecture(name).backbones)
    if not backbones:
        return
    choices = architecture(name).config.model_json_schema()["properties"]["freeze"]["enum"]
    assert {"none", *model.FREEZE} == set(choices)
    for fractions in model.FREEZE.values():
        assert set(fractions) <= set(backbones)
        assert all(0 <= fraction <= 1 for fraction in fractions.values())
    for backbone in backbones:
        numbers = layer_numbers(model.get_submodule(backbone))
        assert sorted(set(numbers.values())) == list(range(max(numbers.values()) + 1))
    last = list(model.parameters())[-1]
    numbered = {
        id(model.get_submodule(backbone).get_parameter(own))
        for backbone in backbones
        for own in layer_numbers(model.get_submodule(backbone))
    }
    assert last.shape == (NUM_CLASSES,)
    assert id(last) not in numbered, "the head has no layer number"


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[list[float]]]]:
    """Every architecture as a registered model's folder, and what one process without the repository says by each."""
    root = tmp_path_factory.mktemp("packaged")
    for i, image_HW in enumerate(np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)):
        Image.fromarray(image_HW).save(root / f"{i}.png")
    for number, name in enumerate(NAMES):
        save_weights(smoke_model(name), root / "weights.safetensors")
        write_standalone(
            root / str(number),
            architecture=name,
            hyperparameters=hyperparameters(name),
            classes=("a", "b", "c"),
            weights=root / "weights.safetensors",
            inputs=architecture(name).image_names,
        )
    folders = [str(root / str(number)) for number in range(len(NAMES))]
    done = subprocess.run(
        [sys.executable, "-I", "-c", PREDICT, *folders], cwd=root, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return root, json.loads(done.stdout)


def test_a_registered_folder_gives_the_same_probabilities(name: str, packaged) -> None:
    root, probs = packaged
    contents = [np.array(Image.open(io.BytesIO((root / f"{i}.png").read_bytes()))) for i in range(3)]
    x_B1HW = torch.from_numpy(np.stack(contents)).unsqueeze(1).float() / 255
    given = tuple(x_B1HW.roll(-number, dims=0) for number in range(architecture(name).images_per_case))
    expected = torch.softmax(logits(smoke_model(name), given), dim=1)
    assert torch.allclose(torch.tensor(probs[str(NAMES.index(name))]), expected, atol=1e-5)
