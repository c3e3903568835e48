"""Ways in which copies of an image get into a data set, each at several strengths."""

import io
from collections.abc import Callable, Mapping

import cv2
import numpy as np
from PIL import Image

Change = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def encode(picture_HW: np.ndarray, image_format: str = "PNG", quality: int = 90) -> bytes:
    content = io.BytesIO()
    options = {"quality": quality} if image_format == "JPEG" else {"compress_level": 1}
    Image.fromarray(picture_HW).save(content, image_format, **options)
    return content.getvalue()


def planted_copy(content: bytes, kind: str, strength: float, rng: np.random.Generator) -> bytes:
    """Return the copy's bytes: those of the file for an exact copy, else a JPEG of good quality unless `kind` says."""
    if kind == "exact copy":
        return content
    picture_HW = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    if kind == "stored as PNG":
        return encode(picture_HW)
    if kind == "JPEG quality":
        return encode(picture_HW, "JPEG", int(strength))
    return encode(CHANGES[kind][0](picture_HW, strength, rng), "JPEG", 92)


def _clip(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).round().astype(np.uint8)


def _resized(x: np.ndarray, scale: float, _: np.random.Generator) -> np.ndarray:
    return cv2.resize(x, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _rotated(x: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    rows, columns = x.shape
    sign = rng.choice([-1, 1])
    matrix = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), float(sign * degrees), 1)
    return cv2.warpAffine(x, matrix, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def _cropped(x: np.ndarray, percent: float, rng: np.random.Generator) -> np.ndarray:
    """Take `percent` off each side's length in all, split at random between its two ends."""
    rows, columns = x.shape
    down, right = (int(side * percent / 100) for side in x.shape)
    top, left = rng.integers(0, down + 1), rng.integers(0, right + 1)
    return np.ascontiguousarray(x[top : top + rows - down, left : left + columns - right])


def _padded(x: np.ndarray, percent: float, _: np.random.Generator) -> np.ndarray:
    """Add black bars left and right, `percent` of the width in all."""
    bar = int(x.shape[1] * percent / 200)
    return np.pad(x, ((0, 0), (bar, bar)))


def _shifted(x: np.ndarray, percent: float, rng: np.random.Generator) -> np.ndarray:
    down, right = (float(rng.choice([-1, 1]) * side * percent / 100) for side in x.shape)
    matrix = np.array([[1, 0, right], [0, 1, down]])
    return cv2.warpAffine(x, matrix, x.shape[::-1], flags=cv2.INTER_LINEAR)


def _captioned(x: np.ndarray, lines: float, rng: np.random.Generator) -> np.ndarray:
    """Write lines of white text into the lower left corner."""
    out, size = x.copy(), x.shape[0] / 400
    for line in range(int(lines)):
        words = "".join(rng.choice(list("ABCDEFGHIJKLMNOP 0123456789"), 14))
        place = (int(0.03 * x.shape[1]), int(x.shape[0] * (0.96 - 0.07 * line)))
        cv2.putText(out, words, place, cv2.FONT_HERSHEY_SIMPLEX, size, 255, 1, cv2.LINE_AA)
    return out


def _covered(x: np.ndarray, percent: float, rng: np.random.Generator) -> np.ndarray:
    """Black out a rectangle with `percent` of the area, somewhere in the middle half."""
    out, side = x.copy(), (percent / 100) ** 0.5
    top, left = (int(length * rng.uniform(0.25, 0.75 - side)) for length in x.shape)
    out[top : top + int(x.shape[0] * side), left : left + int(x.shape[1] * side)] = 0
    return out


def _augmented(x: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Mirror, rotate by up to `degrees`, change the brightness by up to 20 %: what a training loop would do."""
    turned = _rotated(x[:, ::-1].copy(), rng.uniform(0.4, 1) * degrees, rng)
    return _clip(turned * rng.uniform(0.8, 1.2))


def _mixed(x: np.ndarray, percent: float, rng: np.random.Generator) -> np.ndarray:
    """Quarter turn, crop, half the size, gamma: several changes at once."""
    small = _resized(_cropped(np.rot90(x).copy(), percent, rng), 0.5, rng)
    return _clip(255 * (small / 255.0) ** 1.3)


CHANGES: Mapping[str, tuple[Change, tuple[float, ...]]] = {
    "exact copy": (lambda x, s, r: x, (0,)),
    "stored as PNG": (lambda x, s, r: x, (0,)),
    "JPEG quality": (lambda x, s, r: x, (70, 30, 10)),
    "resized x": (_resized, (2.0, 0.5, 0.25)),
    "mirrored": (lambda x, s, r: x[:, ::-1].copy(), (0,)),
    "upside down": (lambda x, s, r: x[::-1].copy(), (0,)),
    "quarter turns": (lambda x, s, r: np.rot90(x, int(s)).copy(), (1, 2, 3)),
    "rotated deg": (_rotated, (2, 5, 10)),
    "brightness x": (lambda x, s, r: _clip(x * s), (0.6, 1.2, 1.5)),
    "contrast x": (lambda x, s, r: _clip(128 + (x - 128.0) * s), (0.6, 1.4)),
    "gamma": (lambda x, s, r: _clip(255 * (x / 255.0) ** s), (0.6, 1.5, 2.2)),
    "blurred px": (lambda x, s, r: cv2.GaussianBlur(x, (0, 0), s), (1, 2, 4)),
    "sharpened x": (lambda x, s, r: _clip(x + s * (x - cv2.GaussianBlur(x, (0, 0), 2).astype(float))), (1, 3)),
    "noise sd": (lambda x, s, r: _clip(x + r.normal(0, s, x.shape)), (5, 15, 30)),
    "cropped %": (_cropped, (2, 5, 10, 15)),
    "padded %": (_padded, (10, 20, 40)),
    "shifted %": (_shifted, (2, 5, 10)),
    "text, lines": (_captioned, (1, 3)),
    "covered %": (_covered, (3, 10)),
    "inverted": (lambda x, s, r: 255 - x, (0,)),
    "equalised": (lambda x, s, r: cv2.equalizeHist(x), (0,)),
    "mirror, rotate, brightness": (_augmented, (5, 10, 15)),
    "turn, crop %, half, gamma": (_mixed, (5, 10)),
}
