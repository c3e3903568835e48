"""The decoded images that a trial trains and validates on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from trainables.data.cache import open_cases
from trainables.data.split_rows import SplitRow

DEVICE_SHARE = 0.25  # of the free memory; models and their activations need the rest


@dataclass(frozen=True, kw_only=True)
class DevelopmentData:
    """Development cases (uint8 images_NMHW), labels_N on the device, and which rows train and validate.

    The images are on the device where they fit, else a memory map that all trials of a machine share.
    """

    images_NMHW: torch.Tensor
    labels_N: torch.Tensor
    training_rows: torch.Tensor
    validation_rows: torch.Tensor

    def epoch(self, batches: Sequence[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield rows_B, where the images are, and labels_B of each batch; all are moved at once, not step by step."""
        sizes, order_N = [len(rows_B) for rows_B in batches], torch.cat(list(batches))
        rows = order_N.to(self.images_NMHW.device).split(sizes)
        labels = self.labels_N[order_N.to(self.labels_N.device)].split(sizes)
        return zip(rows, labels, strict=True)

    def take(self, rows_B: torch.Tensor) -> torch.Tensor:
        """Return images_BMHW on the labels' device, for rows where the images are; waits for nothing."""
        images_BMHW = self.images_NMHW[rows_B]
        if images_BMHW.device == self.labels_N.device:
            return images_BMHW
        return images_BMHW.pin_memory().to(self.labels_N.device, non_blocking=True)


def load_development(rows: list[SplitRow], images: Path, device: str) -> DevelopmentData:
    """Open the decoded development images; they move to a GPU if a quarter of its free memory holds them."""
    held_N = torch.tensor([row.side == "validation" for row in rows])
    images_NMHW = torch.from_numpy(open_cases(images, len(rows)))
    if device == "cuda" and images_NMHW.nbytes <= DEVICE_SHARE * torch.cuda.mem_get_info()[0]:
        images_NMHW = images_NMHW.to(device)
    return DevelopmentData(
        images_NMHW=images_NMHW,
        labels_N=torch.tensor([row.label for row in rows]).to(device),
        training_rows=torch.nonzero(~held_N).squeeze(1),
        validation_rows=torch.nonzero(held_N).squeeze(1),
    )
