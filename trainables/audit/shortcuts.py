"""How well the class can be guessed without looking at the anatomy: file type, size, borders, names."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from sklearn.naive_bayes import BernoulliNB
from sklearn.tree import DecisionTreeClassifier

from trainables.audit.facts import AuditedImage, AuditInput
from trainables.audit.name_tokens import count_tokens, name_tokens
from trainables.audit.shortcut_words import what_differs

FOLDS = 5
MAX_IMAGES = 20_000  # more are sampled, so that minutes do not become hours; a shortcut shows in far fewer
MIN_UNITS_PER_CLASS = 5  # groups of a class; fewer say nothing about the class
LUCK_DEALS = 400
LUCK_SDS = 4.5  # two dozen measurements at once, and folds that share images vary more than fixed predictions do
WHOLE_BY_LUCK = 1e-4  # told right in every group: with few groups no score is beyond luck, but this may be
MAYBE_SDS = 2.5  # with groups too few for any alarm: worth a word
MARGIN = 0.2  # of the way from chance to perfect: a weaker hint is true of many honest sets


@dataclass(frozen=True)
class Shortcut:
    """How well one feature alone tells the class.

    `score` is the cross-validated balanced accuracy of telling the class that is told best (`told`) from the others,
    which for two classes is that of both; `chance` is what labels dealt out at random give on average and
    `luck` what such labels hardly ever reach (4.5 standard deviations more; no alarm in 600 honest sets). With few
    groups no score gets there: then a feature is a shortcut where it tells every group right and labels dealt out at
    random do so less than once in 10,000 times; `is_unclear` where it seems to tell and groups are too few to say.
    `modality` is None where all images were looked at together. `in_pixels` says whether a model could see it: all
    files become one grey channel of one square size, so what is in the pixels stays and the rest never arrives.
    """

    feature: str
    score: float
    chance: float
    luck: float
    told: int
    is_shortcut: bool
    in_pixels: bool
    modality: str | None
    num_images: int
    detail: str
    is_unclear: bool = False

    @property
    def name(self) -> str:
        """The feature and, where only one modality was looked at, that."""
        return self.feature if self.modality is None else f"{self.feature}, {self.modality} only"


@dataclass(frozen=True)
class _Feature:
    name: str
    in_pixels: bool
    values: Callable[[AuditedImage], tuple[float | str, ...]]


def _suffix(image: AuditedImage) -> str:
    return "" if ".parquet#" in image.path else PurePosixPath(image.path).suffix


_FEATURES = (
    _Feature("file type", False, lambda image: (f"{image.facts.file_format} {_suffix(image)}".strip(),)),
    _Feature("colour mode", False, lambda image: (image.facts.mode,)),
    _Feature("file size", False, lambda image: (float(image.facts.size_bytes),)),
    _Feature("width and height", False, lambda image: (float(image.facts.width_px), float(image.facts.height_px))),
    _Feature("aspect", True, lambda image: (image.facts.width_px / image.facts.height_px,)),
    _Feature("mean intensity", True, lambda image: (image.facts.mean,)),
    _Feature("border", True, lambda image: (image.facts.border_mean,)),
    _Feature("corners", True, lambda image: image.facts.corner_means),
    _Feature("modality", True, lambda image: (image.modality,)),
)


def find_shortcuts(images: AuditInput, groups: Sequence[str] | None, seed: int = 0) -> list[Shortcut]:
    """Return one Shortcut per feature that varies, for all images together and for every modality.

    `groups` (one per image) are what must stay on one side of a split; without them the images of a case are. Folds
    deal out whole groups, each class evenly. A feature is a shortcut when a shallow tree (naive Bayes for names) that
    sees nothing else beats both luck and a margin of a fifth of the way from chance to perfect. Classes of fewer than
    five groups are left out; of more than 20,000 images, 20,000 are sampled.
    """
    rng = np.random.default_rng(seed)
    if groups is None:
        groups = [str(image.case) for image in images.images]
    rows = list(range(len(images.images)))
    if len(rows) > MAX_IMAGES:
        rows = sorted(rng.choice(len(rows), MAX_IMAGES, replace=False).tolist())
    modalities = sorted({images.images[row].modality for row in rows})
    found = _shortcuts_among(images, groups, rows, None, rng)
    for modality in modalities if len(modalities) > 1 else []:
        own = [row for row in rows if images.images[row].modality == modality]
        found += _shortcuts_among(images, groups, own, modality, rng)
    return found


def _shortcuts_among(
    images: AuditInput, groups: Sequence[str], rows: list[int], modality: str | None, rng: np.random.Generator
) -> list[Shortcut]:
    cases = _Cases.of(images, groups, rows, rng)
    if cases is None:
        return []
    luck = _Luck(cases, rng)
    found = []
    for name, in_pixels, x, words in _varying_features(cases.images):
        predicted_N = _predict_out_of_fold(x, cases, naive_bayes=name == "file name")
        told, score = cases.best_told(predicted_N)
        chance, luck_sd = luck.of(predicted_N)
        best_by_luck = min(1.0, chance + LUCK_SDS * luck_sd)
        is_rare = cases.num_deals(told) > 1 / WHOLE_BY_LUCK
        is_beyond_luck = score > best_by_luck or (is_rare and cases.are_all_right(predicted_N, told))
        has_margin = score - chance > MARGIN * (1 - chance)
        seems_to_tell = (best_by_luck == 1 or not is_rare) and score > chance + MAYBE_SDS * luck_sd
        found.append(
            Shortcut(
                feature=name,
                score=score,
                chance=chance,
                luck=best_by_luck,
                told=told,
                is_shortcut=is_beyond_luck and has_margin,
                is_unclear=seems_to_tell and has_margin and not is_beyond_luck,
                in_pixels=in_pixels,
                modality=modality,
                num_images=len(cases.images),
                detail=what_differs(words, [images.classes[image.label] for image in cases.images]),
            )
        )
    return found


def _varying_features(images: Sequence[AuditedImage]) -> Iterator[tuple[str, bool, Any, list[Any]]]:
    """Yield name, whether a model can see it, x_NF for a classifier and what to say of it in words, per image."""
    for feature in _FEATURES:
        values = [feature.values(image) for image in images]
        if len(set(values)) == 1:
            continue
        if isinstance(values[0][0], str):
            kinds = sorted({str(value[0]) for value in values})
            x_NF = np.array([[value[0] == kind for kind in kinds] for value in values], dtype=np.float32)
        else:
            x_NF = np.array(values, dtype=np.float32)
        yield feature.name, feature.in_pixels, x_NF, [value[0] if len(value) == 1 else value for value in values]
    tokens = [name_tokens(image.path) for image in images]
    x_NT = count_tokens(tokens)
    if x_NT is not None:
        yield "file name", False, x_NT, [set(words) for words in tokens]


@dataclass(frozen=True)
class _Cases:
    """The images of the classes that have enough groups: labels_N (places in `kept`), unit_N (the group), fold_N."""

    images: list[AuditedImage]
    kept: list[int]
    labels_N: np.ndarray
    unit_N: np.ndarray
    unit_labels_U: np.ndarray
    fold_N: np.ndarray

    @classmethod
    def of(
        cls, images: AuditInput, groups: Sequence[str], rows: list[int], rng: np.random.Generator
    ) -> "_Cases | None":
        labels_N = np.array([images.images[row].label for row in rows])
        names_N = np.array([groups[row] for row in rows])
        # a group of two classes (a conflict, reported as such) counts as one group of each
        units = {(label, name) for label, name in zip(labels_N.tolist(), names_N.tolist(), strict=True)}
        kept = [k for k in range(len(images.classes)) if sum(label == k for label, _ in units) >= MIN_UNITS_PER_CLASS]
        keep_N = np.isin(labels_N, kept)
        if len(kept) < 2:
            return None
        labels_N, names_N = labels_N[keep_N], names_N[keep_N]
        first_U, unit_N = np.unique(names_N, return_index=True, return_inverse=True)[1:]
        unit_labels_U = np.searchsorted(kept, labels_N[first_U])
        fold_U = np.empty(len(first_U), dtype=int)
        shuffled_U = rng.permutation(len(first_U))
        fold_U[shuffled_U[np.argsort(unit_labels_U[shuffled_U], kind="stable")]] = np.arange(len(first_U)) % FOLDS
        return cls(
            [images.images[row] for row, keep in zip(rows, keep_N, strict=True) if keep],
            kept,
            np.searchsorted(kept, labels_N),
            unit_N,
            unit_labels_U,
            fold_U[unit_N],
        )

    def best_told(self, predicted_N: np.ndarray) -> tuple[int, float]:
        """Return the class that is told best from the others, and how well: balanced accuracy of the two."""
        scores_K = [
            ((predicted_N == k)[self.labels_N == k].mean() + (predicted_N != k)[self.labels_N != k].mean()) / 2
            for k in range(int(self.labels_N.max()) + 1)
        ]
        best = int(np.argmax(scores_K))
        return self.kept[best], float(scores_K[best])

    def num_deals(self, told: int) -> int:
        """Return in how many ways the groups of a class may be dealt: luck names every group right once in so many."""
        return comb(len(self.unit_labels_U), int((self.unit_labels_U == self.kept.index(told)).sum()))

    def are_all_right(self, predicted_N: np.ndarray, told: int) -> bool:
        """Say whether most images of every group are rightly named as of a class, or not of it."""
        k = self.kept.index(told)
        named_U = np.bincount(self.unit_N, weights=predicted_N == k) / np.bincount(self.unit_N)
        return bool(np.all(np.where(self.unit_labels_U == k, named_U > 0.5, named_U < 0.5)))


class _Luck:
    """Scores of labels dealt out at random among whole groups, the predictions left as they are."""

    def __init__(self, cases: _Cases, rng: np.random.Generator) -> None:
        self._unit_N, self._num_classes = cases.unit_N, int(cases.labels_N.max()) + 1
        self._deals_DU = rng.permuted(np.tile(cases.unit_labels_U.astype(np.int8), (LUCK_DEALS, 1)), axis=1)
        self._sizes_U = np.bincount(cases.unit_N).astype(np.float32)

    def of(self, predicted_N: np.ndarray) -> tuple[float, float]:
        """Return mean and standard deviation of the deals' scores."""
        scores_D = np.zeros(LUCK_DEALS)
        num_images = float(self._sizes_U.sum())
        for label in range(self._num_classes):
            named_U = np.bincount(self._unit_N, weights=predicted_N == label).astype(np.float32)
            for rows in np.array_split(np.arange(LUCK_DEALS), 20):  # not all at once: 20,000 groups would fill memory
                is_label_DU = (self._deals_DU[rows] == label).astype(np.float32)
                hits_D, own_D = is_label_DU @ named_U, is_label_DU @ self._sizes_U
                recall_D = hits_D / np.maximum(own_D, 1)
                others_D = 1 - (named_U.sum() - hits_D) / np.maximum(num_images - own_D, 1)
                scores_D[rows] = np.maximum(scores_D[rows], (recall_D + others_D) / 2)
        return float(scores_D.mean()), float(scores_D.std())


def _predict_out_of_fold(x: Any, cases: _Cases, *, naive_bayes: bool) -> np.ndarray:
    predicted_N = np.zeros(len(cases.labels_N), dtype=int)
    for fold in range(FOLDS):
        test_N = cases.fold_N == fold
        if naive_bayes:
            model: Any = BernoulliNB(fit_prior=False)  # that a word is missing tells as much as that it is there
        else:
            model = DecisionTreeClassifier(max_depth=3, min_samples_leaf=5, class_weight="balanced", random_state=0)
        predicted_N[test_N] = model.fit(x[~test_N], cases.labels_N[~test_N]).predict(x[test_N])
    return predicted_N
