"""Models whose right explanation is known without training, and what a model's state is."""

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from trainables.catalog import architecture, default_hyperparameters
from trainables.models import build_model

CELL_PX = 4


class BlobNet(nn.Module):
    """Bright -> class 1: two channels see brightness, one darkness, one an edge; the mean of each is weighed."""

    def __init__(self, num_logits: int = 2, inplace: bool = True) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, CELL_PX, stride=CELL_PX), nn.ReLU(inplace=inplace))
        self.head = nn.Linear(4, num_logits)
        edge_HW = torch.ones(CELL_PX, CELL_PX)
        edge_HW[:, CELL_PX // 2 :] = -1
        kernels = [
            torch.ones(CELL_PX, CELL_PX),
            torch.ones(CELL_PX, CELL_PX) / 2,
            -torch.ones(CELL_PX, CELL_PX),
            edge_HW,
        ]
        with torch.no_grad():
            self.features[0].weight.copy_(torch.stack(kernels)[:, None] / CELL_PX**2)
            self.features[0].bias.zero_()
            toward_bright = torch.tensor([8.0, 4.0, -4.0, 0.25])
            self.head.weight.copy_(toward_bright if num_logits == 1 else torch.stack([-toward_bright, toward_bright]))
            self.head.bias.fill_(0.1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.head(self.features(x_BCHW).mean(dim=(2, 3)))


class TwoImages(nn.Module):
    """Two encoders, or one that both images share; the answer is the difference of the images' brightness."""

    def __init__(self, shared: bool) -> None:
        super().__init__()
        self.ct = BlobNet()
        self.mr = self.ct if shared else BlobNet()

    def forward(self, ct_B1HW: Tensor, mr_B1HW: Tensor) -> Tensor:
        return self.ct(ct_B1HW) + self.mr(mr_B1HW).flip(1)


def blob_images(*corners: tuple[int, int], side_px: int = 32) -> Tensor:
    """Return black images_B1HW, each with one bright square of a cell at (row, column) in cells."""
    images = torch.zeros(len(corners), 1, side_px, side_px)
    for image_1HW, (row, column) in zip(images, corners, strict=True):
        image_1HW[:, row * CELL_PX : (row + 1) * CELL_PX, column * CELL_PX : (column + 1) * CELL_PX] = 1
    return images


def small_model(name: str = "resnet_vit", num_classes: int = 3, **changes: Any) -> nn.Module:
    torch.manual_seed(0)
    return build_model(name, default_hyperparameters(name) | dict(architecture(name).smoke) | changes, num_classes)


def state_of(model: nn.Module) -> dict[str, Any]:
    """Return all that explaining may not change, to the bit."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    modules = dict(model.named_modules())
    return {
        "tensors": {
            name: hashlib.sha256(tensor.detach().numpy().tobytes()).hexdigest() for name, tensor in tensors.items()
        },
        "places": {name: tensor.data_ptr() for name, tensor in tensors.items()},
        "requires_grad": {name: parameter.requires_grad for name, parameter in model.named_parameters()},
        "grad": {name: _sum(parameter.grad) for name, parameter in model.named_parameters()},
        "training": {name: module.training for name, module in modules.items()},
        "modules": {name: id(module) for name, module in modules.items()},
        "hooks": {name: [len(getattr(module, kind)) for kind in hooks] for name, module in modules.items()},
        "fused": {name: getattr(module, "fused_attn", None) for name, module in modules.items()},
        "inplace": {name: getattr(module, "inplace", None) for name, module in modules.items()},
        "own": {name: sorted(vars(module)) for name, module in modules.items()},
    }


def _sum(gradient: Tensor | None) -> float | None:
    return None if gradient is None else float(gradient.sum())
