"""Which training rows an epoch shows, and in which order."""

import torch


def epoch_batches(
    training_rows: torch.Tensor, labels_N: torch.Tensor, batch_size: int, *, balanced: bool, generator: torch.Generator
) -> tuple[torch.Tensor, ...]:
    """Return the rows of each batch of one epoch: every row once, or, balanced, as many drawn with replacement.

    A balanced draw takes every class equally often on average (weight 1/n of its class). Batches differ by one row
    at most, so none is tiny.
    """
    num_rows = len(training_rows)
    if balanced:
        own_N = labels_N[training_rows]
        weight_N = 1 / torch.bincount(own_N)[own_N]
        order_N = torch.multinomial(weight_N, num_rows, replacement=True, generator=generator)
    else:
        order_N = torch.randperm(num_rows, generator=generator)
    return training_rows[order_N].tensor_split(-(-num_rows // batch_size))
