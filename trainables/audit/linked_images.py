"""Which images belong together, which of these stand on two sides of the shipped split, which disagree on the class."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainables.audit.facts import AuditInput
from trainables.audit.near_duplicates import DuplicatePair
from trainables.audit.unions import joined
from trainables.data.records import Side

Link = Literal["copy", "near-duplicate", "patient", "case", "subject"]
_PAIR_WORDS = {"bytes": "the same file", "pixels": "the same pixels, stored differently", "near": "near-duplicate"}
_Evidence = DuplicatePair | tuple[Link, str, list[Hashable]]  # a pair, or link, words and a key per image (or None)


@dataclass(frozen=True)
class Crossing:
    """An image and one of the other side that gives it away: how the two are linked, in a word and in words."""

    image: int
    other: int
    link: Link
    why: str


def clusters(num_images: int, links: Iterable[tuple[int, int]]) -> np.ndarray:
    """Return cluster_N: the smallest index that each image is linked to, over any number of links."""
    unions = joined(num_images, links)
    return np.array([unions.find(image) for image in range(num_images)], dtype=int)


def members(cluster_N: np.ndarray, at_least: int = 2) -> list[list[int]]:
    """Return the images of every cluster of `at_least` images, largest first."""
    order = np.argsort(cluster_N, kind="stable")
    starts = np.unique(cluster_N[order], return_index=True)[1]
    found = [part.tolist() for part in np.split(order, starts[1:]) if len(part) >= at_least]
    return sorted(found, key=lambda own: (-len(own), own[0]))


def in_words(pair: DuplicatePair) -> str:
    """Return how two images are alike: "near-duplicate, mirrored, correlation 0.997"."""
    if pair.kind != "near":
        return _PAIR_WORDS[pair.kind]
    return ", ".join(part for part in (_PAIR_WORDS["near"], pair.how, f"correlation {pair.correlation:.3f}") if part)


def crossings(
    images: AuditInput, pairs: Sequence[DuplicatePair], group_N: np.ndarray, side: Side, others: set[Side]
) -> list[Crossing]:
    """Return the images on `side` that have a copy, patient, case or group on `others`, the plainest link each."""
    shipped = [image.shipped for image in images.images]
    found: dict[int, Crossing] = {}
    for evidence in _evidence(images, pairs, group_N):
        for crossing in _across(evidence, shipped, side, others):
            found.setdefault(crossing.image, crossing)
    return list(found.values())


def conflicts(images: AuditInput, cluster_N: np.ndarray) -> list[list[int]]:
    """Return the clusters whose images have more than one class, largest first."""
    return [own for own in members(cluster_N) if len({images.images[image].label for image in own}) > 1]


def _evidence(images: AuditInput, pairs: Sequence[DuplicatePair], group_N: np.ndarray) -> Iterator[_Evidence]:
    """Yield what links images, the surest first: a pair, or a key that linked images share."""
    num_images = len(images.images)
    links: list[tuple[int, int]] = []
    for kind in ("bytes", "pixels", "near"):
        own = sorted((pair for pair in pairs if pair.kind == kind), key=lambda pair: -pair.correlation)
        yield from own
        links += [(pair.first, pair.second) for pair in own]
        if own:  # pairs may name only some of the links within a cluster
            words = _PAIR_WORDS[kind] + (" by way of others" if kind == "near" else "")
            yield _link_of(kind), words, clusters(num_images, links).tolist()
    yield "patient", "the same patient", [image.patient_id for image in images.images]
    yield "case", "the same case", [image.case for image in images.images]
    yield "subject", "the same subject group", group_N.tolist()


def _link_of(kind: str) -> Link:
    return "near-duplicate" if kind == "near" else "copy"


def _across(evidence: _Evidence, shipped: Sequence[Side | None], side: Side, others: set[Side]) -> Iterator[Crossing]:
    """Yield the images of `side` that a piece of evidence links to one of the others."""
    if isinstance(evidence, DuplicatePair):
        for image, other in ((evidence.first, evidence.second), (evidence.second, evidence.first)):
            if shipped[image] == side and shipped[other] in others:
                yield Crossing(image, other, _link_of(evidence.kind), in_words(evidence))
        return
    link, why, keys = evidence
    there: dict[Hashable, int] = {}
    for image, key in enumerate(keys):
        if shipped[image] in others:
            there.setdefault(key, image)
    for image, key in enumerate(keys):
        if shipped[image] == side and key is not None and key in there:
            yield Crossing(image, there[key], link, why)
