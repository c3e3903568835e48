"""One image file -> one grey square. Stands alone: registered models carry a copy of this file."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

# Its digest is part of every cache key: raise the version when the same file would give other pixels,
# or when wrong pixels were cached.
RECIPE: dict[str, str | int] = {"mode": "grey", "resize": "area", "over 8 bit": "percentiles 0.5 to 99.5", "version": 4}
MAX_PIXELS = 50_000_000
BRAIN_THRESHOLD = 45
FORMATS = ("BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")  # no reader starts a program
warnings.filterwarnings("ignore", module=r"PIL\.")  # damaged and huge files are told by name, each in one line


class UnreadableImage(ValueError):
    """Bytes that are not a whole image; the message says why in one line."""


def decode_grey(content: bytes) -> np.ndarray:
    """Return slice_HW, uint8: one channel whatever the file's mode, alpha dropped, metadata ignored.

    The content decides, not the file's name. Of several frames the first counts; an EXIF orientation turns nothing;
    a palette gives its colours; one bit gives 0 and 255; grey of more than 8 bits is scaled by percentiles, colour of
    more than 8 bits keeps its high byte. Raises UnreadableImage.
    """
    with opened(content) as image:
        _require_size(image.width, image.height)
        if image.mode.startswith(("I", "F")):
            return _scaled(np.asarray(image, dtype=np.float64))
        image.info.pop("transparency", None)  # dropped anyway; Pillow would warn once per palette image
        return np.asarray(image.convert("L"))


def grey_from_array(image: np.ndarray) -> np.ndarray:
    """Return slice_HW, uint8, of an image that is an array already, as `decode_grey` gives it from a lossless file.

    Takes uint8 HW (grey) or HW3 (RGB); HW of any other integer or float type is scaled by percentiles, as grey of more
    than 8 bits is. Raises UnreadableImage.
    """
    is_colour = image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    if not (is_colour or (image.ndim == 2 and image.dtype.kind in "iuf")):
        shape = " x ".join(map(str, image.shape)) or "single"
        raise UnreadableImage(f"a {shape} array of {image.dtype}; expected numbers HW, or uint8 HW3 (RGB)")
    if not image.size:
        raise UnreadableImage("an array without pixels")
    _require_size(image.shape[1], image.shape[0])
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(np.ascontiguousarray(image)).convert("L"))
    return _scaled(image.astype(np.float64))


def _require_size(width_px: int, height_px: int) -> None:
    if width_px * height_px > MAX_PIXELS:
        raise UnreadableImage(f"{width_px} x {height_px} pixels, more than {MAX_PIXELS}")


@contextmanager
def opened(content: bytes) -> Iterator[Image.Image]:
    """Yield the image of a file's content; whatever goes wrong with it is an UnreadableImage with a reason."""
    if not content:
        raise UnreadableImage("empty file")
    if content.startswith(b"version https://git-lfs"):
        raise UnreadableImage("a git-LFS pointer, not the image: fetch the real file (git lfs pull)")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            yield image
    except UnidentifiedImageError:
        raise UnreadableImage("not an image of a known format") from None
    except Image.DecompressionBombError:  # of more than MAX_PIXELS, too; Pillow's text does not say the rule
        raise UnreadableImage(f"more than {MAX_PIXELS} pixels") from None
    except UnreadableImage:
        raise
    except OSError as error:
        raise UnreadableImage(" ".join(str(error).split()) or type(error).__name__) from error
    except Exception as error:  # what parsing a damaged file ran into; its text may hold a header, and that a name
        raise UnreadableImage(f"damaged ({type(error).__name__})") from error


def _scaled(raw_HW: np.ndarray) -> np.ndarray:
    """Map the 0.5th to 99.5th percentile of an image with more than 8 bits to 0..255; a flat one becomes black."""
    if not np.isfinite(raw_HW).all():
        raise UnreadableImage("holds values that are not finite")
    low, high = np.percentile(raw_HW, (0.5, 99.5))
    return np.asarray(np.clip((raw_HW - low) / max(high - low, 1e-12) * 255, 0, 255).round().astype(np.uint8))


def square(slice_HW: np.ndarray, side_px: int, crop_margin_px: int | None = None) -> np.ndarray:
    """Return slice_HW of side_px x side_px, of the whole image or, with a margin, of the brain alone."""
    if crop_margin_px is not None:
        slice_HW = slice_HW[brain_box(slice_HW, crop_margin_px)]
    return resize_square(slice_HW, side_px)


def brain_box(slice_HW: np.ndarray, margin_px: int) -> tuple[slice, slice]:
    """Return rows and columns around the largest bright thing of a slice_HW (uint8); the whole where there is none.

    As a tumour project has it: blur of 5, threshold 45, eroded and dilated twice, the largest outer contour. That
    project failed on images without one, as dark ones are; what is found must be a tenth of the image each way.
    """
    height, width = slice_HW.shape
    _, bright_HW = cv2.threshold(cv2.GaussianBlur(slice_HW, (5, 5), 0), BRAIN_THRESHOLD, 255, cv2.THRESH_BINARY)
    kernel = np.ones((3, 3), np.uint8)
    bright_HW = cv2.dilate(cv2.erode(bright_HW, kernel, iterations=2), kernel, iterations=2)
    contours, _ = cv2.findContours(bright_HW, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return slice(0, height), slice(0, width)
    left, top, across, down = cv2.boundingRect(max(contours, key=cv2.contourArea))
    if 10 * down < height or 10 * across < width:
        return slice(0, height), slice(0, width)
    rows = slice(max(0, top - margin_px), min(height, top + down + margin_px))
    return rows, slice(max(0, left - margin_px), min(width, left + across + margin_px))


def resize_square(slice_HW: np.ndarray, side_px: int) -> np.ndarray:
    """Return slice_HW of side_px x side_px; aspect is not kept (stroke project), area interpolation when shrinking."""
    shrinks = slice_HW.shape[0] >= side_px and slice_HW.shape[1] >= side_px
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(slice_HW, (side_px, side_px), interpolation=how))
