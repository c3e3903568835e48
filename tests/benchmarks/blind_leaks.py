"""Copies of three kinds that were planted only after the audit was finished: what it finds of what it was not made for.

PYTHONPATH=tests/support python tests/benchmarks/blind_leaks.py [TASK ...]
"""

import argparse
import io
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
from copies_support import SourceImage, audit_input, phantom_images
from PIL import Image

from trainables.audit.near_duplicates import find_near_duplicates
from trainables.audit.subjects import group_subjects
from trainables.audit.unions import joined
from trainables.data.phantom import PHANTOMS

PATIENTS, COPIES, SEED = 60, 12, 7
Change = Callable[[np.ndarray], np.ndarray]


def barrel(strength: float) -> Change:
    """Bend the image as a wide lens does."""

    def change(slice_HW: np.ndarray) -> np.ndarray:
        height, width = slice_HW.shape
        y_HW, x_HW = np.mgrid[:height, :width].astype(np.float32)
        u_HW, v_HW = x_HW / (width / 2) - 1, y_HW / (height / 2) - 1
        bend_HW = 1 + strength * (u_HW**2 + v_HW**2)
        to_x_HW, to_y_HW = (u_HW * bend_HW + 1) * width / 2, (v_HW * bend_HW + 1) * height / 2
        return cv2.remap(slice_HW, to_x_HW.astype(np.float32), to_y_HW.astype(np.float32), cv2.INTER_LINEAR)

    return change


def coloured(colour_map: int) -> Change:
    """Show the image in false colours."""
    return lambda slice_HW: cv2.applyColorMap(slice_HW, colour_map)[:, :, ::-1]


def photographed(tilt_fraction: float) -> Change:
    """Take a photo of a screen: perspective, uneven light, moire."""

    def change(slice_HW: np.ndarray) -> np.ndarray:
        height, width = slice_HW.shape
        tilt = tilt_fraction * width
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        moved = corners + np.array([[tilt, 0], [-tilt / 2, tilt / 3], [0, -tilt], [0, -tilt / 2]], np.float32)
        seen_HW = cv2.warpPerspective(slice_HW, cv2.getPerspectiveTransform(corners, moved), (width, height))
        y_HW, x_HW = np.mgrid[:height, :width]
        lit_HW = seen_HW * (0.7 + 0.5 * x_HW / width) + 8 * np.sin(x_HW / 1.7 + y_HW / 5) + 12
        return np.clip(lit_HW, 0, 255).astype(np.uint8)

    return change


KINDS: Mapping[str, Change] = {
    **{f"barrel {strength}": barrel(strength) for strength in (0.02, 0.05, 0.1)},
    "colours bone": coloured(cv2.COLORMAP_BONE),
    "colours hot": coloured(cv2.COLORMAP_HOT),
    "colours jet": coloured(cv2.COLORMAP_JET),
    **{f"photo of a screen {tilt}": photographed(tilt) for tilt in (0.01, 0.03, 0.06)},
}


def as_jpeg(picture: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=75)
    return content.getvalue()


def measure(task: str) -> None:
    """Print recall per kind: as copies, and with the groups that splits go by."""
    with tempfile.TemporaryDirectory() as folder:
        PHANTOMS[task](Path(folder) / "set", PATIENTS, SEED)
        sources = phantom_images(Path(folder) / "set")
    originals = iter(np.random.default_rng(1).permutation(len(sources)).tolist())
    planted: dict[str, list[tuple[int, int]]] = {kind: [] for kind in KINDS}
    images = list(sources)
    for kind, change in KINDS.items():
        for _ in range(COPIES):
            original = next(originals)
            slice_HW = np.asarray(Image.open(io.BytesIO(sources[original].content)).convert("L"))
            planted[kind].append((original, len(images)))
            images.append(SourceImage(f"{len(images)}.jpg", sources[original].label, as_jpeg(change(slice_HW))))
    audited = audit_input(images)
    pairs = find_near_duplicates(audited, lambda what, done, of: None)
    copy_N = joined(len(images), ((pair.first, pair.second) for pair in pairs)).numbers()
    group_N = group_subjects(audited, pairs).group_N
    for kind, own in planted.items():
        recalls = [np.mean([numbers[a] == numbers[b] for a, b in own]) for numbers in (copy_N, group_N)]
        print(f"{task:14} {kind:24} as copies {recalls[0]:.2f}  in one group {recalls[1]:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(PHANTOMS))
    for task in parser.parse_args().tasks:
        measure(task)


if __name__ == "__main__":
    main()
