"""The reconstructed CNN with channel and spatial attention: size, gates, explanations, and that it learns."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from training_support import blobs, run_of

from trainables.architectures.attention_cnn import ChannelAttention, SpatialAttention
from trainables.catalog import architecture, default_hyperparameters
from trainables.errors import ExplanationError
from trainables.explain.channel_gates import channel_gates, write_channel_gates
from trainables.explain.engine import explain
from trainables.explain.explained import Explained
from trainables.explain.explainers import Explainer
from trainables.models import build_model, count_parameters
from trainables.training.loop import train

PLAIN = 422_788
WIDTHS = (32, 64, 128, 256)
TINY = {"image_px": 32, "base_width": 8, "num_blocks": 3, "hidden": 16, "batch_size": 8}


def channel_gate(width: int, reduction: int) -> int:
    hidden = max(4, width // reduction)
    return 2 * width * hidden + hidden + width


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 434_700),  # design facts
        ({"attention": "none"}, PLAIN),
        ({"attention": "se"}, PLAIN + sum(channel_gate(width, 16) for width in WIDTHS)),
        ({"attention": "spatial"}, PLAIN + 4 * 2 * 7**2),
        ({"attention_everywhere": False}, PLAIN + channel_gate(256, 16) + 2 * 7**2),
        ({"reduction": 64}, PLAIN + sum(channel_gate(width, 64) for width in WIDTHS) + 4 * 2 * 7**2),
        ({"spatial_kernel": 3}, 434_700 - 4 * 2 * (7**2 - 3**2)),
        ({"hidden": 64}, 434_700 - 64 * (256 + 1 + 4)),
        ({"channel_pool": "avg_max"}, 434_700),
    ],
)
def test_sizes(changes: dict, expected: int) -> None:
    with torch.device("meta"):
        model = build_model("attention_cnn", changes, 4)
    assert count_parameters(model) == (expected, expected)


def test_images_that_would_vanish_are_refused() -> None:
    with pytest.raises(ValueError, match="image_px=16 must be at least 64: each block halves the side"):
        build_model("attention_cnn", {"image_px": 16, "num_blocks": 6}, 4)


def test_gates_weigh_by_what_they_say_they_do() -> None:
    torch.manual_seed(0)
    x_BCHW = torch.rand(2, 8, 6, 6)
    for pool in ("avg", "avg_max"):
        channels = ChannelAttention(8, 2, pool)
        excited_BC = channels.squeeze(x_BCHW.mean(dim=(2, 3)))
        if pool == "avg_max":
            excited_BC = excited_BC + channels.squeeze(x_BCHW.flatten(2).max(dim=2).values)
        assert torch.allclose(channels(x_BCHW), x_BCHW * excited_BC.sigmoid()[..., None, None])
    places = SpatialAttention(3)
    both_B2HW = torch.stack([x_BCHW.mean(dim=1), x_BCHW.max(dim=1).values], dim=1)
    assert torch.allclose(places(x_BCHW), x_BCHW * places.conv(both_B2HW).sigmoid())


def test_channels_come_before_places_as_in_cbam() -> None:
    model = build_model("attention_cnn", TINY, 2)
    assert [name for name, _ in model.blocks[0].attention.named_children()] == ["channels", "places"]


@pytest.fixture(scope="module")
def explained() -> Explained:
    torch.manual_seed(0)
    model = build_model("attention_cnn", default_hyperparameters("attention_cnn") | TINY, 2).eval()
    images_NMHW = np.random.default_rng(0).integers(0, 256, (6, 1, 32, 32), dtype=np.uint8)
    return Explained(architecture("attention_cnn"), model, images_NMHW)


def test_the_spatial_gate_is_a_map_of_its_own(explained: Explained) -> None:
    gate = next(one for one in explained.architecture.explainers if one.method == "gate")
    found = explained.maps([gate], [0, 1], [0, 1])[gate.name]
    seen: list[torch.Tensor] = []
    handle = explained.model.blocks[-1].attention.places.gate.register_forward_hook(
        lambda *given: seen.append(given[2])
    )
    with torch.inference_mode():
        explained.model(explained.input_of([0, 1]))
    handle.remove()
    np.testing.assert_allclose(found.maps_BHW, seen[0][:, 0].numpy(), rtol=1e-5)
    assert found.layer == "blocks.2.attention.places.gate"


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("", "gate: which gate. name its layer"),
        ("blocks.-1.act", "a gate gives one weight of 0 or more per place, and this layer 32 numbers"),
        ("blocks.-1.attention.places.conv", "one weight of 0 or more"),
        ("blocks.-1.gate", "no layer 'blocks.-1.gate': blocks.2 has no 'gate'"),
    ],
)
def test_what_is_no_gate_is_refused(explained: Explained, layer: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        explain(explained.model, explained.input_of([0]), [0], Explainer("gate", layer))


class InPlace(nn.Module):
    """A convolution, negative everywhere, whose output the next module makes 0 in place."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.act = nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(inplace=True)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, -1)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        mean_B1 = self.act(self.gate(x_BCHW)).mean(dim=(2, 3))
        return torch.cat([mean_B1, -mean_B1], dim=1)


def test_a_gate_is_what_its_module_gave_whatever_follows_in_place() -> None:
    with pytest.raises(ExplanationError, match="one weight of 0 or more"):
        explain(InPlace(), torch.rand(1, 1, 8, 8), [1], Explainer("gate", "gate"))
    images_NMHW = np.zeros((2, 1, 8, 8), dtype=np.uint8)
    gates_NC = channel_gates(Explained(architecture("attention_cnn"), InPlace(), images_NMHW), "gate")
    assert (gates_NC == -1).all()


def test_channel_gates_are_averaged_by_true_class(explained: Explained, tmp_path: Path) -> None:
    gates_NC = channel_gates(explained, explained.architecture.channel_gates)
    assert gates_NC.shape == (6, 32) and 0 < gates_NC.min() < gates_NC.max() < 1
    labels_N = np.array([0, 0, 2, 2, 2, 2])
    assert write_channel_gates(tmp_path, explained, labels_N, ["glioma", "pituitary", "none"]) == ""
    header, *rows = (tmp_path / "channel_gates.csv").read_text().splitlines()
    assert header.startswith("class,images,channel_0,")
    assert [row.split(",")[:2] for row in rows] == [["glioma", "2"], ["none", "4"]], "no row for a class without image"
    np.testing.assert_allclose(float(rows[1].split(",")[2]), gates_NC[2:, 0].mean(), rtol=1e-6)
    assert (tmp_path / "channel_gates.png").read_bytes().startswith(b"\x89PNG")


def test_without_gates_it_says_so(explained: Explained, tmp_path: Path) -> None:
    model = build_model("attention_cnn", TINY | {"attention": "spatial"}, 2).eval()
    without = Explained(explained.architecture, model, explained.images_NMHW)
    told = write_channel_gates(tmp_path, without, np.zeros(6, dtype=int), ["glioma"])
    assert told.startswith("channel gates: no layer 'blocks.-1.attention.channels.gate'")
    assert not list(tmp_path.iterdir())
    works, refused, failed = without.usable(explained.architecture.explainers)
    assert len(works) == 4 and refused == failed == []


@pytest.mark.parametrize("attention", ["none", "se", "spatial", "cbam"])
def test_a_planted_difference_is_learned(tmp_path: Path, attention: str) -> None:
    run = run_of("attention_cnn", tmp_path, 6, **TINY, attention=attention)
    assert max(record.metrics["val/auroc"] or 0 for record in train(run, blobs())) > 0.95
