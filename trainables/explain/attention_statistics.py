"""What attention weights say in numbers, head by head: how even they are, and whether heads look at the same places.

The mean weight is no such number: a softmax over N keys has the mean 1/N whatever the model learned. It is kept in the
table because people look for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from trainables.explain.cross_look import CrossCase, CrossLook

TOP_KEYS = 5
EACH_HEAD = ("mean", "max", "min", "entropy", "effective_keys", "top5_mass")
STATISTICS = (*EACH_HEAD, "disagreement")


@dataclass(frozen=True)
class AttentionRow:
    """Statistics of a head of a case in one direction; of all heads together where `head` is None."""

    case: CrossCase
    direction: str
    head: int | None
    values: Mapping[str, float]  # by EACH_HEAD; of all heads together also the disagreement


def attention_rows(case: CrossCase, look: CrossLook) -> list[AttentionRow]:
    """Return a row per direction and head, and after the heads of each direction one of all together.

    `max` and `min` are the largest and smallest of all weights; the others are means over queries (and heads).
    """
    rows: list[AttentionRow] = []
    for direction, attention_HQK in zip(look.directions, look.attention_2HQK, strict=True):
        heads = head_statistics(attention_HQK)
        rows += [AttentionRow(case, direction, head, values) for head, values in enumerate(heads)]
        rows.append(AttentionRow(case, direction, None, _together(heads, head_disagreement(attention_HQK))))
    return rows


def head_statistics(attention_HQK: np.ndarray) -> list[dict[str, float]]:
    """Return the statistics of each head, by the names in EACH_HEAD.

    `entropy` is in units of log N: 1 for even attention, 0 for attention to one key. `effective_keys`, exp(entropy), is
    the number of keys that evenly looked at would have the same entropy, 1 to N. `top5_mass` is the share of a query's
    five largest weights.
    """
    num_keys = attention_HQK.shape[-1]
    entropy_HQ = _entropy_nats(attention_HQK.astype(np.float64))
    top_HQ = np.sort(attention_HQK.astype(np.float64), axis=-1)[..., -TOP_KEYS:].sum(axis=-1)
    # one key can only be looked at evenly
    normalised_HQ = entropy_HQ / np.log(num_keys) if num_keys > 1 else np.ones_like(entropy_HQ)
    return [
        {
            "mean": float(weights_QK.mean(dtype=np.float64)),
            "max": float(weights_QK.max()),
            "min": float(weights_QK.min()),
            "entropy": float(normalised_HQ[head].mean()),
            "effective_keys": float(np.exp(entropy_HQ[head]).mean()),
            "top5_mass": float(top_HQ[head].mean()),
        }
        for head, weights_QK in enumerate(attention_HQK)
    ]


def head_disagreement(attention_HQK: np.ndarray) -> float:
    """Return the mean Jensen-Shannon divergence between two heads' rows for the same query, in bits: 0 to 1.

    0 where all heads look at the same places, and for one head; 1 where no two share a key. Lin 1991 (IEEE Trans. Inf.
    Theory 37:145).
    """
    weights_HQK = attention_HQK.astype(np.float64)
    weights_HQK /= weights_HQK.sum(axis=-1, keepdims=True)  # within its tolerance a row may miss 1, and leave [0, 1]
    entropy_HQ = _entropy_nats(weights_HQK)
    pairs = [
        _entropy_nats((weights_HQK[one] + weights_HQK[other]) / 2) - (entropy_HQ[one] + entropy_HQ[other]) / 2
        for one, other in combinations(range(len(weights_HQK)), 2)
    ]
    return float(np.clip(np.mean(pairs) / np.log(2), 0, 1)) if pairs else 0.0


def attention_cells(row: AttentionRow, classes: Sequence[str]) -> dict[str, object]:
    """Return a row as cells of a table; what a row lacks is empty."""
    about: dict[str, object] = {
        "case": row.case.name,
        "true": "" if row.case.true is None else classes[row.case.true],
        "predicted": classes[row.case.predicted],
        "at_random": row.case.at_random,
        "direction": row.direction,
        "head": "all" if row.head is None else row.head,
    }
    return about | {name: row.values.get(name, "") for name in STATISTICS}


def _together(heads: Sequence[Mapping[str, float]], disagreement: float) -> dict[str, float]:
    how = {"max": max, "min": min}
    together = {name: float(how.get(name, np.mean)([one[name] for one in heads])) for name in EACH_HEAD}
    return together | {"disagreement": disagreement}


def _entropy_nats(weights_HQK: np.ndarray) -> np.ndarray:
    """Return the entropy of each row; a key without weight adds nothing."""
    logs_HQK = np.log(weights_HQK, out=np.zeros_like(weights_HQK), where=weights_HQK > 0)
    entropy_HQ: np.ndarray = -(weights_HQK * logs_HQK).sum(axis=-1)
    return entropy_HQ
