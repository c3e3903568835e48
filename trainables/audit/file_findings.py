"""Findings about single files: unreadable, tiny, stretched, blank, animated, misnamed."""

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from trainables.audit.evidence import MAX_EXAMPLES, Evidence, Example, Finding, Severity, counted
from trainables.audit.facts import AuditedImage

MIN_SIDE_PX = 32
MAX_ASPECT = 3.0
MIN_STD = 2.0  # of 255 grey levels
_FORMATS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".bmp": "BMP", ".gif": "GIF", ".tif": "TIFF",
    ".tiff": "TIFF", ".webp": "WEBP",
}  # fmt: skip
_SAME_FORMAT = {"MPO": "JPEG"}  # a JPEG with a second picture behind it


def is_misnamed(image: AuditedImage) -> bool:
    """Return whether the file's suffix names another format than its content is in; rows of a table have no suffix."""
    if ".parquet#" in image.path:
        return False
    expected = _FORMATS.get(PurePosixPath(image.path).suffix.lower())
    found = image.facts.file_format
    return expected is not None and expected != _SAME_FORMAT.get(found, found)


def _is_tiny(image: AuditedImage) -> bool:
    return min(image.facts.width_px, image.facts.height_px) < MIN_SIDE_PX


def _is_stretched(image: AuditedImage) -> bool:
    sides_px = sorted((image.facts.width_px, image.facts.height_px))
    return sides_px[1] > MAX_ASPECT * sides_px[0]


# kind, severity, what an image is, what is done, the measure that its examples show
_Caption = Callable[[AuditedImage], str]
_ODDITIES: tuple[tuple[str, Severity, str, str, Callable[[AuditedImage], bool], _Caption], ...] = (
    (
        "tiny",
        "warning",
        f"smaller than {MIN_SIDE_PX} px",
        "They are enlarged like any other; icons and thumbnails should leave the set.",
        _is_tiny,
        lambda image: f"{image.facts.width_px} x {image.facts.height_px} px",
    ),
    (
        "stretched",
        "warning",
        f"more than {MAX_ASPECT:g} times as long as wide",
        "They are squeezed into a square like any other and will look distorted to a model.",
        _is_stretched,
        lambda image: f"{image.facts.width_px} x {image.facts.height_px} px",
    ),
    (
        "blank",
        "warning",
        f"flat: grey levels spread by less than {MIN_STD:g} of 255",
        "They are kept; a blank slice holds nothing to learn and should leave the set.",
        lambda image: image.facts.std < MIN_STD,
        lambda image: f"mean {image.facts.mean:.0f}, spread {image.facts.std:.1f}",
    ),
    (
        "animated",
        "warning",
        "with more than one frame",
        "Only the first frame is read.",
        lambda image: image.facts.frames > 1,
        lambda image: counted(image.facts.frames, "frame"),
    ),
    (
        "misnamed",
        "note",
        "whose suffix names another format than the content",
        "They are read by their content; the name is not trusted.",
        is_misnamed,
        lambda image: f"is {image.facts.file_format}",
    ),
)


def file_findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield unreadable files with their reasons, then one finding per oddity that occurs."""
    if evidence.unreadable:
        yield Finding(
            kind="unreadable",
            severity="warning",
            title=f"{counted(len(evidence.unreadable), 'file')} cannot be read",
            count=len(evidence.unreadable),
            examples=tuple(Example((), f"{path}: {reason}") for path, reason in evidence.unreadable[:MAX_EXAMPLES]),
            done="They are left out and counted; nothing else changes.",
        )
    for kind, severity, what, done, is_odd, caption in _ODDITIES:
        odd = [index for index, image in enumerate(evidence.images.images) if is_odd(image)]
        if odd:
            yield Finding(
                kind=kind,
                severity=severity,
                title=f"{counted(len(odd), 'image')} {what}",
                count=len(odd),
                examples=tuple(
                    Example((index,), caption(evidence.images.images[index])) for index in odd[:MAX_EXAMPLES]
                ),
                done=done,
            )
