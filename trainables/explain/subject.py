"""What is explained: one case, as a function of one of its images, with all checks of what goes in and comes out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trainables.errors import ExplanationError, first_line

Images = Tensor | Sequence[Tensor]
Targets = Tensor | np.ndarray | Sequence[int]


@dataclass(frozen=True)
class Subject:
    """A private copy of a model and the images of one case, all held constant but the one at `index`.

    Only so are methods right that change the image: what is held constant is of the same case in every batch.
    """

    model: nn.Module
    images: tuple[Tensor, ...]  # 1CHW each
    index: int = 0

    @property
    def image_1CHW(self) -> Tensor:  # noqa: N802
        """Return the image that is explained."""
        return self.images[self.index]

    @property
    def image_hw(self) -> tuple[int, int]:
        """Return its height and width in pixels."""
        return self.image_1CHW.shape[2], self.image_1CHW.shape[3]

    def logits_BK(self, x_BCHW: Tensor) -> Tensor:  # noqa: N802
        """Return float32 logits for variants of the image. Raises ExplanationError for what are no logits."""
        variants = (image.expand(len(x_BCHW), -1, -1, -1) for image in self.images)
        given = [x_BCHW if n == self.index else image for n, image in enumerate(variants)]
        given = [image.clone() for image in given]  # a model may normalise what it is given in place
        output = self.model(*given)
        if not isinstance(output, Tensor):
            kind = type(output).__name__
            raise ExplanationError(f"the model gives a {kind}, not a tensor of logits: wrap it so that it gives these")
        if output.ndim != 2 or len(output) != len(x_BCHW) or not output.shape[1]:
            raise ExplanationError(
                f"the model gives the shape {tuple(output.shape)} for {len(x_BCHW)} images: "
                "expected logits [B, K], or [B, 1] of a model with one logit"
            )
        if not bool(torch.isfinite(output).all()):
            raise ExplanationError(
                "the model's logits are no numbers (NaN or infinite): its weights or input are broken"
            )
        return output.float()

    def score_B(self, x_BCHW: Tensor, target: int) -> Tensor:  # noqa: N802
        """Return the class's logit of each variant; of a model with one logit, class 0 has its negative."""
        return class_score_B(self.logits_BK(x_BCHW), target)


def class_score_B(logits_BK: Tensor, target: int) -> Tensor:  # noqa: N802
    """Return the logit of a class; where there is one logit only it is class 1's, and its negative class 0's."""
    if logits_BK.shape[1] == 1:
        return logits_BK[:, 0] if target == 1 else -logits_BK[:, 0]
    return logits_BK[:, target]


def checked_images(images: Images, device: torch.device, index: int) -> tuple[Tensor, ...]:
    """Return float32 images_BCHW, one per input of the model, as tensors of our own. Raises ExplanationError."""
    given = (images,) if isinstance(images, Tensor) else tuple(images) if isinstance(images, Sequence) else ()
    if not given or not all(isinstance(one, Tensor) for one in given):
        raise ExplanationError("images must be a tensor [B, C, H, W], or one for each image of a case")
    for one in given:
        is_plain = one.layout == torch.strided and not one.is_meta
        if one.ndim != 4 or not one.is_floating_point() or min(one.shape) < 1 or not is_plain:
            kind = "" if is_plain else " without values" if one.is_meta else f" ({one.layout})"
            shape = f"{one.dtype} of shape {tuple(one.shape)}{kind}".removeprefix("torch.")
            raise ExplanationError(f"images are {shape}: expected floats [B, C, H, W], at least one")
        if len(one) != len(given[0]):
            raise ExplanationError(f"cases have {len(given[0])} first and {len(one)} later images: each needs all")
        if not bool(torch.isfinite(one).all()):
            raise ExplanationError("an image holds NaN or infinite values")
    if not 0 <= index < len(given):
        raise ExplanationError(f"image {index} of a case of {len(given)}: expected 0 to {len(given) - 1}")
    # A clone: what comes from inference_mode cannot be part of a graph.
    return tuple(one.detach().to(device, torch.float32).clone() for one in given)


def checked_targets(targets_B: Targets, num_cases: int) -> list[int]:
    """Return the class asked for of each case. Raises ExplanationError."""
    try:
        targets = torch.as_tensor(targets_B)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:  # whatever it is, torch has a word for it
        reason = first_line(error, 160)
        raise ExplanationError(
            f"targets are no numbers ({reason}): expected a class index for each of {num_cases} images"
        ) from error
    if targets.shape != (num_cases,) or targets.is_floating_point() or targets.dtype == torch.bool:
        given = f"{targets.dtype} of shape {tuple(targets.shape)}".removeprefix("torch.")
        raise ExplanationError(f"targets are {given}: expected a class index for each of {num_cases} images")
    return [int(target) for target in targets]


def checked_logits_BK(model: nn.Module, images: tuple[Tensor, ...], targets: Sequence[int]) -> Tensor:  # noqa: N802
    """Return the logits of all cases, one by one, as later steps will see them. Raises ExplanationError."""
    rows = []
    with torch.no_grad():
        for one_case in zip(*(one.split(1) for one in images), strict=True):
            try:
                rows.append(Subject(model, one_case).logits_BK(one_case[0]))
            except (torch.OutOfMemoryError, MemoryError, ExplanationError):
                raise
            except Exception as error:  # the model's own code may raise anything
                shapes = ", ".join(str(tuple(one.shape)) for one in one_case)
                reason = first_line(error, 160)
                raise ExplanationError(f"the model cannot take images of shape {shapes} ({reason})") from error
    logits_BK = torch.cat(rows)
    num_classes = max(2, logits_BK.shape[1])
    for target in targets:
        if not 0 <= target < num_classes:
            raise ExplanationError(
                f"class {target} of a model with {num_classes} classes: expected 0 to {num_classes - 1}"
            )
    return logits_BK
