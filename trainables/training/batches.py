"""Which training rows an epoch shows, and in which order."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class EpochBatches:
    """The rows of each batch of one epoch, and which of them are shown as they are, whatever the augmentation."""

    rows: tuple[torch.Tensor, ...]
    plain: tuple[torch.Tensor, ...]


def shown_images(num_rows: int, plain_copies: bool) -> int:
    """Return how many images an epoch shows."""
    return num_rows * (2 if plain_copies else 1)


def epoch_batches(
    training_rows: torch.Tensor,
    labels_N: torch.Tensor,
    batch_size: int,
    *,
    balanced: bool,
    plain_copies: bool = False,
    generator: torch.Generator,
) -> EpochBatches:
    """Return the batches of one epoch: every row once, or, balanced, as many drawn with replacement.

    A balanced draw takes every class equally often on average (weight 1/n of its class). With plain copies every row
    is there twice, once as it is. Batches differ by one row at most, so none is tiny.
    """
    shown = shown_images(len(training_rows), plain_copies)
    if balanced:
        own_N = labels_N[training_rows]
        weight_N = (1 / torch.bincount(own_N)[own_N]).repeat(shown // len(training_rows))
        order_N = torch.multinomial(weight_N, shown, replacement=True, generator=generator)
    else:
        order_N = torch.randperm(shown, generator=generator)
    batches = -(-shown // batch_size)
    rows = training_rows[order_N % len(training_rows)].tensor_split(batches)
    return EpochBatches(rows, (order_N >= len(training_rows)).tensor_split(batches))
