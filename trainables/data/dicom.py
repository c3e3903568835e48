"""One DICOM file -> one grey slice, and no more of its header than that. Stands alone: registered models carry a copy.

pydicom is needed only by who has such files (the extra `dicom`); gdcm, which comes with it, opens compressed ones.
"""

import io
import logging
import math
import re
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pydicom import Dataset

MARK = b"DICM"  # after the 128 bytes of the preamble
MARK_ENDS_AT = 132
HU = "HU"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PERCENTILES = (0.5, 99.5)  # as of other files with more than 8 bits
MAX_PIXELS = 50_000_000
MISSING = "a DICOM file; reading it needs pydicom: pip install pydicom python-gdcm"


class UnreadableDicom(ValueError):
    """A DICOM file that holds no slice that can be read; the message says why in one line, and quotes no tag."""


def is_dicom(content: bytes) -> bool:
    """Tell whether a file's content, of which the first 132 bytes are enough, is DICOM."""
    return content[MARK_ENDS_AT - len(MARK) : MARK_ENDS_AT] == MARK


def can_read_dicom() -> bool:
    """Tell whether pydicom is installed."""
    return find_spec("pydicom") is not None


def open_dicom(source: Path | BinaryIO, tags: list[str] | None = None) -> "Dataset":
    """Return a file's header and, where no tags are asked for, its pixels. Raises pydicom's own kinds and OSError."""
    import pydicom

    # At each call, as others may change it: log and warnings quote values of the header.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module="pydicom")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    return pydicom.dcmread(source, stop_before_pixels=tags is not None, specific_tags=tags)


def grey_from_dicom(content: bytes, ct_window_hu: tuple[float, float]) -> np.ndarray:
    """Return slice_HW, uint8.

    CT is brought to Hounsfield units and shown in a window (level, width), so that a grey value is the same tissue in
    every scan, whatever the file says of windows and photometric interpretation. Other grey of more than 8 bits is
    scaled by percentiles of what is no padding. Screenshots (secondary capture), 8 bits without a rescale, and colour,
    stay as they are. What is not HU is inverted where the file says so (MONOCHROME1). Padding is black. Raises
    UnreadableDicom, also for several frames.
    """
    if not can_read_dicom():
        raise UnreadableDicom(MISSING)
    try:
        data = open_dicom(io.BytesIO(content))
        _require_slice(data)
        return _grey(data, ct_window_hu)
    except (UnreadableDicom, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  what parsing ran into: pydicom's and gdcm's own kinds; their texts may quote a tag
        raise UnreadableDicom(f"a damaged DICOM file ({type(error).__name__})") from None


def _require_slice(data: "Dataset") -> None:
    if "PixelData" not in data:
        raise UnreadableDicom("a DICOM file without an image")
    frames = int(data.get("NumberOfFrames") or 1)
    if frames > 1:
        raise UnreadableDicom(f"a DICOM file of {frames} frames; expected one slice per file")
    if int(data.Rows) * int(data.Columns) > MAX_PIXELS:
        raise UnreadableDicom(f"{int(data.Columns)} x {int(data.Rows)} pixels, more than {MAX_PIXELS}")


def _grey(data: "Dataset", ct_window_hu: tuple[float, float]) -> np.ndarray:
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

    stored = _stored(data)
    if data.PhotometricInterpretation == "PALETTE COLOR":
        return _luma(apply_color_lut(stored, data), 16 if data.RedPaletteColorLookupTableDescriptor[2] > 8 else 8)
    if stored.ndim == 3:
        return _luma(stored, int(data.BitsStored))
    padding_HW = _padding(data, stored)
    units = _rescaled_to(data)
    values_HW = (stored if units is None else apply_modality_lut(stored, data)).astype(np.float64)
    if not np.isfinite(values_HW).all():
        raise UnreadableDicom("holds values that are not finite")
    if units == HU and data.get("Modality") == "CT" and data.get("SOPClassUID") != SECONDARY_CAPTURE:
        level, width = ct_window_hu
        grey_HW = _scaled(values_HW, level - width / 2, level + width / 2)
    else:
        grey_HW = _shown(data, values_HW, padding_HW)
    grey_HW[padding_HW] = 0
    return grey_HW


def _rescaled_to(data: "Dataset") -> str | None:
    """Return what a file's rescale gives: HU where it says so or nothing else; None without a rescale."""
    if data.get("ModalityLUTSequence"):
        return str(data.ModalityLUTSequence[0].get("ModalityLUTType") or HU)
    if data.get("RescaleSlope") is None or data.get("RescaleIntercept") is None:
        return None
    if not 0 < abs(float(data.RescaleSlope)) < math.inf:
        raise UnreadableDicom(f"its rescale slope is {float(data.RescaleSlope):g}: no value can be told")
    return str(data.get("RescaleType") or HU)


def _shown(data: "Dataset", values_HW: np.ndarray, padding_HW: np.ndarray) -> np.ndarray:
    """Return grey of what has no Hounsfield units."""
    bits = int(data.BitsStored)
    if bits <= 8 and data.PixelRepresentation == 0 and values_HW.min() >= 0 and values_HW.max() < 2**bits:
        grey_HW = _scaled(values_HW, 0, 2**bits - 1)
    elif data.get("Modality") == "CT":
        raise UnreadableDicom("CT without a rescale to Hounsfield units: what its values mean is not told")
    else:
        inside = values_HW[~padding_HW]
        low, high = np.percentile(inside, PERCENTILES) if inside.size else (0.0, 0.0)
        grey_HW = _scaled(values_HW, low, high)
    return 255 - grey_HW if data.PhotometricInterpretation == "MONOCHROME1" else grey_HW


def _stored(data: "Dataset") -> np.ndarray:
    """Return the stored values, HW or HW3 in RGB."""
    from pydicom.pixels.utils import get_expected_length, pixel_array

    kind = data.file_meta.TransferSyntaxUID
    size = f"{data.get('Columns')} x {data.get('Rows')} pixels of {data.get('BitsAllocated')} bits"
    other_size = f"damaged: {size} are not what its pixel data hold"
    try:
        stored = np.asarray(pixel_array(data))
    except (RuntimeError, ValueError) as error:  # what pydicom and its decoders raise for pixels that do not fit
        if kind.is_compressed:  # where a tag that a decoder names need not be at fault
            way = "damaged, or of a kind that gdcm does not open" if find_spec("gdcm") else "pip install python-gdcm"
            raise UnreadableDicom(f"compressed ({kind.name}): {way}") from None
        if tag := _blamed(error):
            raise UnreadableDicom(f"its header has a value that is not read ({tag})") from None
        fits = len(data.PixelData) == _even(get_expected_length(data))
        raise UnreadableDicom("damaged: its header contradicts itself" if fits else other_size) from None
    # pydicom takes what is too much for padding, or for frames that nobody told of
    shape = (data.Rows, data.Columns, 3) if data.SamplesPerPixel == 3 else (data.Rows, data.Columns)
    if stored.shape != shape or not (kind.is_compressed or len(data.PixelData) <= _even(get_expected_length(data))):
        raise UnreadableDicom(other_size)
    return stored


def _even(length_bytes: int) -> int:
    return length_bytes + length_bytes % 2


def _blamed(error: Exception) -> str:
    """Return the name of the tag whose value pydicom refuses, without that; empty where it names none."""
    from pydicom.datadict import keyword_for_tag

    tag = re.search(r"\(0028,([0-9A-F]{4})\)", str(error))
    return keyword_for_tag(f"0028{tag[1]}") if tag else ""


def _padding(data: "Dataset", stored_HW: np.ndarray) -> np.ndarray:
    """Return where there is no image, only filling."""
    value = data.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored_HW.shape, bool)
    limit = data.get("PixelPaddingRangeLimit")
    ends = sorted([int(value), int(value if limit is None else limit)])
    return np.asarray((stored_HW >= ends[0]) & (stored_HW <= ends[1]))


def _scaled(values_HW: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map low..high to 0..255."""
    scaled = (values_HW - low) / max(high - low, 1e-12) * 255
    return np.asarray(np.clip(scaled, 0, 255).round().astype(np.uint8))


def _luma(colour: Any, bits: int) -> np.ndarray:
    """Return the grey of RGB, of more than 8 bits the high byte."""
    high_byte = np.asarray(colour)[..., :3] >> max(0, bits - 8)
    return np.asarray(Image.fromarray(np.ascontiguousarray(high_byte.astype(np.uint8))).convert("L"))
