import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from trainables.errors import WeightsError
from trainables.models import build_model, load_weights, save_weights

TINY = {"resnet": "test_resnet", "vit": "test_vit", "image_px": 32}


def model(num_classes: int = 2, image_px: int = 32) -> nn.Module:
    return build_model("baseline_cnn", {"image_px": image_px}, num_classes)


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("was unpickled",))


def _damaged(path: Path) -> None:
    save_weights(model(), path)
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: path.write_bytes(pickle.dumps(_Bomb())), "best.safetensors: is a pickle or a torch checkpoint"),
        (lambda path: torch.save({"bomb": _Bomb()}, path), "is a pickle or a torch checkpoint, which could run code"),
        (_damaged, "is no safetensors file, or a damaged one"),
        (lambda path: path.write_bytes(b""), "or a damaged one"),
        (lambda path: path.write_text("words"), "or a damaged one"),
        (lambda path: path.mkdir(), "weights cannot be read"),
        (lambda path: None, "weights cannot be read"),
        (
            lambda path: save_weights(model(num_classes=4), path),
            r"another architecture: head.3.weight is 4 x 128, not 2 x 128, head.3.bias is 4, not 2$",
        ),
        (
            lambda path: save_weights(build_model("resnet_vit", TINY, 2), path),
            "another architecture: features.0.weight is missing, features.0.bias is missing, .* and [0-9]+ more$",
        ),
    ],
)
def test_a_file_that_is_not_this_models_weights_is_one_line(tmp_path: Path, write, words: str) -> None:
    path = tmp_path / "best.safetensors"
    write(path)
    given = model()
    before = [tensor.clone() for tensor in given.state_dict().values()]
    with pytest.raises(WeightsError, match=words) as caught:
        load_weights(given, path)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(*pair) for pair in zip(before, given.state_dict().values(), strict=True)), "left as it was"


def test_the_right_file_is_loaded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    given, other = model(), model()
    save_weights(given, tmp_path / "best.safetensors")
    load_weights(other, tmp_path / "best.safetensors")
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in given.state_dict().items())


def test_tensors_that_layers_share_are_written_under_each_name(tmp_path: Path) -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    shared = nn.Sequential(first, nn.Sequential(first, second))
    save_weights(shared, tmp_path / "shared.safetensors")
    again = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)))
    load_weights(again, tmp_path / "shared.safetensors")
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in shared.state_dict().items())
