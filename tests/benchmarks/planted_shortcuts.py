"""Labels that are given away by something else than the finding, planted into phantoms at several strengths.

    PYTHONPATH=tests/support python tests/benchmarks/planted_shortcuts.py [TASK ...]

Strength is the share of one class's images that carry the mark. A kind counts as found where its feature is flagged; of
labels that disagree, copies that are listed as conflicting.
"""

import argparse
import io
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from copies_support import SourceImage, audit_input, phantom_images
from PIL import Image

from trainables.audit.copy_findings import conflicting_copies
from trainables.audit.evidence import Evidence
from trainables.audit.near_duplicates import find_near_duplicates
from trainables.audit.shortcuts import find_shortcuts
from trainables.audit.subjects import SubjectGroups
from trainables.data.phantom import PHANTOMS

PATIENTS, SEEDS, STRENGTHS = 48, 3, (0.3, 0.6, 1.0)
Plant = Callable[[SourceImage, np.ndarray], SourceImage]


@dataclass(frozen=True)
class Kind:
    """How a mark is planted, and the feature that should be flagged."""

    plant: Plant
    feature: str


def stored(source: SourceImage, slice_HW: np.ndarray, kind: str = "JPEG") -> SourceImage:
    content = io.BytesIO()
    Image.fromarray(slice_HW).save(content, kind)
    return replace(
        source, path=str(Path(source.path).with_suffix(".png" if kind == "PNG" else ".jpg")), content=content.getvalue()
    )


def in_name(source: SourceImage, slice_HW: np.ndarray) -> SourceImage:
    path = Path(source.path)
    return replace(source, path=str(path.with_name(f"{path.stem}_lesion{path.suffix}")))


def in_corner(source: SourceImage, slice_HW: np.ndarray) -> SourceImage:
    marked_HW = slice_HW.copy()
    side = max(2, min(slice_HW.shape) // 16)
    marked_HW[:side, :side] = 255
    return stored(source, marked_HW)


def in_size(source: SourceImage, slice_HW: np.ndarray) -> SourceImage:
    return stored(source, np.asarray(Image.fromarray(slice_HW).resize((144, 144))))


def in_intensity(source: SourceImage, slice_HW: np.ndarray) -> SourceImage:
    return stored(source, np.clip(slice_HW * 1.4 + 12, 0, 255).astype(np.uint8))


KINDS: Mapping[str, Kind] = {
    "label in file name": Kind(in_name, "file name"),
    "label in file type": Kind(lambda source, slice_HW: stored(source, slice_HW, "PNG"), "file type"),
    "label in a corner block": Kind(in_corner, "corners"),
    "label in image size": Kind(in_size, "width and height"),
    "label in brightness": Kind(in_intensity, "mean intensity"),
}


def is_found(sources: list[SourceImage], kind: Kind, strength: float, seed: int) -> bool:
    """Plant a kind into the first class's images and say whether its feature is flagged."""
    rng = np.random.default_rng(seed)
    label = sorted({source.label for source in sources})[0]
    planted = []
    for number, source in enumerate(sources):
        slice_HW = np.asarray(Image.open(io.BytesIO(source.content)).convert("L"))
        plain = stored(replace(source, path=f"images/{number:04d}.jpg"), slice_HW)
        marked = source.label == label and rng.random() < strength
        planted.append(kind.plant(plain, slice_HW) if marked else plain)
    shortcuts = find_shortcuts(audit_input(planted), [str(source.patient) for source in sources])
    return any(one.is_shortcut and one.feature == kind.feature for one in shortcuts)


def conflicts_found(sources: list[SourceImage], copies: int, seed: int) -> tuple[int, int]:
    """Give copies of some images another label; return how many are listed, and how many clusters hold none."""
    rng = np.random.default_rng(seed)
    labels = sorted({source.label for source in sources})
    chosen = rng.permutation(len(sources))[:copies].tolist()
    extra = [
        replace(
            sources[row], path=f"again/{row}.jpg", label=labels[(labels.index(sources[row].label) + 1) % len(labels)]
        )
        for row in chosen
    ]
    images = audit_input([*sources, *extra])
    pairs = find_near_duplicates(images, lambda what, done, of: None)
    evidence = Evidence(images, pairs, SubjectGroups(np.arange(len(images.images)), None, ""), [])
    planted = set(range(len(sources), len(sources) + copies))
    clusters = conflicting_copies(evidence)
    found = {row for cluster in clusters for row in cluster} & planted
    return len(found), sum(not planted & set(cluster) for cluster in clusters)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(PHANTOMS))
    for task in parser.parse_args().tasks:
        sets = []
        for seed in range(SEEDS):
            with tempfile.TemporaryDirectory() as folder:
                PHANTOMS[task](Path(folder) / "set", PATIENTS, seed)
                sets.append(phantom_images(Path(folder) / "set"))
        for name, kind in KINDS.items():
            found = [
                f"{sum(is_found(own, kind, strength, seed) for seed, own in enumerate(sets))}/{SEEDS} at {strength:.0%}"
                for strength in STRENGTHS
            ]
            print(f"{task:14} {name:26} {', '.join(found)}", flush=True)
        found, others = conflicts_found(sets[0], 10, 0)
        print(f"{task:14} {'conflicting labels':26} {found}/10 copies, {others} other clusters", flush=True)


if __name__ == "__main__":
    main()
