"""DICOM files become grey pictures: Hounsfield units, percentiles, padding, inversion; what cannot be read says why."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_support import HEADER, PATIENT, dicom_bytes
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import RLELossless

from trainables.data import dicom
from trainables.data.dicom import SECONDARY_CAPTURE, UnreadableDicom, grey_from_dicom, is_dicom
from trainables.data.images import grey_from_array

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"  # pydicom's own
BRAIN = (40.0, 80.0)
HU = np.array([[-1000, -1, 0, 20], [40, 60, 80, 3000]], np.int16)
IN_BRAIN_WINDOW = [[0, 0, 0, 64], [128, 191, 255, 255]]
GREY = {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "PlanarConfiguration": None}
SQUARE = np.zeros((64, 64), np.int16)


def two_compressed_frames() -> bytes:
    """Return a file whose header says nothing of the second frame."""
    data = pydicom.dcmread(io.BytesIO(dicom_bytes(np.stack([HU, HU]), Rows=2, Columns=4, **GREY, NumberOfFrames=2)))
    data.compress(RLELossless)
    del data.NumberOfFrames
    content = io.BytesIO()
    data.save_as(content)
    return content.getvalue()


def compressed_of_17_bits() -> bytes:
    """Return a file that no decoder opens, of which one says that it takes no such value of a tag."""
    data = pydicom.dcmread(SHIPPED / "MR_small_jp2klossless.dcm")
    data.BitsAllocated, data.BitsStored, data.HighBit = 32, 17, 16
    frame = get_frame(data.PixelData, 0, number_of_frames=1)
    data.PixelData = encapsulate([frame[:42] + bytes([17 - 1]) + frame[43:100]])  # its own number of bits, and an end
    content = io.BytesIO()
    data.save_as(content)
    return content.getvalue()


def test_ct_is_seen_in_hounsfield_units_whatever_is_stored() -> None:
    plain = dicom_bytes(HU, modality="CT")
    shifted = dicom_bytes((HU + 1024).astype(np.uint16), modality="CT", RescaleIntercept=-1024)
    halved = dicom_bytes(((HU + 1024) * 2).astype(np.uint16), modality="CT", RescaleIntercept=-1024, RescaleSlope="0.5")
    for content in (plain, shifted, halved):
        assert grey_from_dicom(content, BRAIN).tolist() == IN_BRAIN_WINDOW


def test_the_window_is_what_the_task_says_not_what_the_file_says() -> None:
    content = dicom_bytes(HU, modality="CT", WindowCenter=300, WindowWidth=1500)
    assert grey_from_dicom(content, BRAIN).tolist() == IN_BRAIN_WINDOW
    assert grey_from_dicom(content, (1000.0, 4000.0)).tolist() == [[0, 64, 64, 65], [66, 68, 69, 255]]


def test_ct_of_monochrome1_is_not_inverted_as_a_hounsfield_unit_is_the_same_tissue_everywhere() -> None:
    content = dicom_bytes(HU, modality="CT", PhotometricInterpretation="MONOCHROME1")
    assert grey_from_dicom(content, BRAIN).tolist() == IN_BRAIN_WINDOW


def test_mr_is_scaled_by_percentiles_as_other_files_of_many_bits_are() -> None:
    ramp_HW = np.arange(4000, dtype=np.uint16).reshape(50, 80)
    assert np.array_equal(grey_from_dicom(dicom_bytes(ramp_HW), BRAIN), grey_from_array(ramp_HW))
    inverted = dicom_bytes(ramp_HW, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(grey_from_dicom(inverted, BRAIN), 255 - grey_from_array(ramp_HW))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_moves_no_percentile(photometric: str) -> None:
    ramp_HW = np.arange(1000, 5000, dtype=np.int16).reshape(50, 80)
    padded_HW = np.vstack([ramp_HW, np.full((10, 80), -2000, np.int16), np.full((10, 80), -1990, np.int16)])
    tags = {"PhotometricInterpretation": photometric}
    plain_HW = grey_from_dicom(dicom_bytes(ramp_HW, **tags), BRAIN)
    grey_HW = grey_from_dicom(
        dicom_bytes(padded_HW, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1985, **tags), BRAIN
    )
    assert np.array_equal(grey_HW[:50], plain_HW)
    assert not grey_HW[50:].any()


def test_eight_bits_stay_as_they_are() -> None:
    grey_HW = np.arange(60, 180, dtype=np.uint8).reshape(10, 12)
    assert np.array_equal(grey_from_dicom(dicom_bytes(grey_HW), BRAIN), grey_HW)
    screenshot = dicom_bytes(grey_HW, modality="CT", RescaleIntercept=None, RescaleSlope=None)
    assert np.array_equal(grey_from_dicom(screenshot, BRAIN), grey_HW)
    inverted = dicom_bytes(grey_HW, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(grey_from_dicom(inverted, BRAIN), 255 - grey_HW)


def test_colour_becomes_its_luma() -> None:
    colour_HW3 = np.random.default_rng(0).integers(0, 256, (8, 10, 3), np.uint8)
    assert np.array_equal(grey_from_dicom(dicom_bytes(colour_HW3), BRAIN), grey_from_array(colour_HW3))
    palette_HW = grey_from_dicom((SHIPPED / "examples_palette.dcm").read_bytes(), BRAIN)
    assert palette_HW.shape == (350, 800)
    assert palette_HW.std() > 10


def test_colour_of_twelve_bits_keeps_its_high_byte() -> None:
    white = dicom_bytes(np.full((4, 4, 3), 4095, np.uint16), BitsStored=12, HighBit=11)
    assert grey_from_dicom(white, BRAIN).tolist() == [[255] * 4] * 4


@pytest.mark.parametrize(
    "tags",
    [
        {"RescaleIntercept": None},  # a slope alone is no rescale
        {"RescaleType": "US"},
        {"RescaleSlope": None, "RescaleIntercept": None},
    ],
)
def test_ct_whose_values_are_not_told_to_be_hounsfield_units_is_refused(tags: dict[str, str | None]) -> None:
    with pytest.raises(UnreadableDicom, match="without a rescale to Hounsfield units"):
        grey_from_dicom(dicom_bytes(HU, modality="CT", **tags), BRAIN)


def test_a_byte_that_makes_an_odd_length_even_is_no_pixel() -> None:
    odd_HW = np.arange(90, 99, dtype=np.uint8).reshape(3, 3)
    assert np.array_equal(grey_from_dicom(dicom_bytes(odd_HW), BRAIN), odd_HW)


def test_a_screenshot_of_ct_stays_as_it_is() -> None:
    grey_HW = np.arange(60, 180, dtype=np.uint8).reshape(10, 12)
    content = dicom_bytes(grey_HW, modality="CT", SOPClassUID=SECONDARY_CAPTURE)
    assert np.array_equal(grey_from_dicom(content, BRAIN), grey_HW)


def test_empty_tags_are_absent_ones() -> None:
    ramp_HW = np.arange(4000, dtype=np.uint16).reshape(50, 80)
    empty = {"RescaleSlope": "", "RescaleIntercept": "", "PixelPaddingRangeLimit": "", "RescaleType": ""}
    content = dicom_bytes(ramp_HW, PixelPaddingValue=9000, **empty)
    assert np.array_equal(grey_from_dicom(content, BRAIN), grey_from_array(ramp_HW))


@pytest.mark.parametrize("kind", ["RLE", "bigendian", "implicit", "jp2klossless", "jpeg_ls_lossless"])
def test_how_a_file_is_encoded_changes_no_pixel(kind: str) -> None:
    plain_HW = grey_from_dicom((SHIPPED / "MR_small.dcm").read_bytes(), BRAIN)
    assert np.array_equal(grey_from_dicom((SHIPPED / f"MR_small_{kind}.dcm").read_bytes(), BRAIN), plain_HW)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ((SHIPPED / "rtplan.dcm").read_bytes(), "without an image"),
        ((SHIPPED / "examples_ybr_color.dcm").read_bytes(), "30 frames; expected one slice per file"),
        (dicom_bytes(HU, Rows=30_000, Columns=30_000), "30000 x 30000 pixels, more than"),
        (dicom_bytes(HU, Rows=3), "damaged: 4 x 3 pixels of 16 bits are not what its pixel data hold"),
        (dicom_bytes(SQUARE, Rows=32), "damaged: 64 x 32 pixels of 16 bits are not what its pixel data hold"),
        (dicom_bytes(SQUARE, Rows=63), "damaged: 64 x 63 pixels of 16 bits are not what its pixel data hold"),
        (dicom_bytes(HU, modality="CT", PixelData=HU.tobytes() * 2), "damaged: 4 x 2 pixels of 16 bits are not what"),
        (dicom_bytes(np.zeros((4, 4), np.uint8), PixelData=b"\0" * 18), "damaged: 4 x 4 pixels of 8 bits are not what"),
        (two_compressed_frames(), "damaged: 4 x 2 pixels of 16 bits are not what its pixel data hold"),
        (dicom_bytes(HU, BitsStored=17), "its header has a value that is not read (BitsStored)"),
        (dicom_bytes(HU, BitsAllocated=12), "its header has a value that is not read (BitsAllocated)"),
        (dicom_bytes(HU, SamplesPerPixel=4), "its header has a value that is not read (SamplesPerPixel)"),
        (
            compressed_of_17_bits(),
            "compressed (JPEG 2000 Image Compression (Lossless Only)): damaged, or of a kind that gdcm",
        ),
        (dicom_bytes(HU, PixelRepresentation=7), "its header has a value that is not read (PixelRepresentation)"),
        (dicom_bytes(HU, SamplesPerPixel=2), "its header has a value that is not read (SamplesPerPixel)"),
        (
            dicom_bytes(HU, PhotometricInterpretation=HEADER["AccessionNumber"]),
            "its header has a value that is not read (PhotometricInterpretation)",
        ),
        (dicom_bytes(HU, modality="CT", RescaleSlope=0), "its rescale slope is 0: no value can be told"),
        (dicom_bytes(HU)[:400], "without an image"),
        ((SHIPPED / "JPEG-lossy.dcm").read_bytes(), "compressed (JPEG Extended"),
        ((SHIPPED / "badVR.dcm").read_bytes(), "damaged DICOM file"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_line_that_quotes_no_tag(content: bytes, reason: str) -> None:
    assert is_dicom(content)
    with pytest.raises(UnreadableDicom) as told:
        grey_from_dicom(content, BRAIN)
    assert reason in str(told.value)
    assert "\n" not in str(told.value)
    assert not any(value in str(told.value) for value in (*HEADER.values(), PATIENT.format(1)))


def test_without_pydicom_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom, "find_spec", lambda name: None)
    with pytest.raises(UnreadableDicom, match="pip install pydicom python-gdcm"):
        grey_from_dicom(dicom_bytes(HU), BRAIN)


@pytest.mark.parametrize("cut", range(133, 1100, 61))
def test_a_file_that_ends_anywhere_is_unreadable_and_nothing_else(cut: int) -> None:
    with pytest.raises(UnreadableDicom):
        grey_from_dicom(dicom_bytes(np.zeros((20, 20), np.uint16))[:cut], BRAIN)


def test_no_log_and_no_warning_quotes_a_header(tmp_path: Path) -> None:
    """In a fresh process, as pydicom sets its own log level when it is imported."""
    content = dicom_bytes(HU, modality="CT", SpecificCharacterSet="ISO 2022 DOE^JOHN", PatientBirthDate=None)
    (tmp_path / "a.dcm").write_bytes(content.replace(b"20190807", b"DOE^ANNE"))
    code = (
        "import logging, sys, warnings; from pathlib import Path; logging.basicConfig(level=0)\n"
        "from trainables.data.dicom import grey_from_dicom, open_dicom\n"
        "warnings.simplefilter('always')\n"
        "file = Path(sys.argv[1])\n"
        "head = open_dicom(file, ['PatientName', 'StudyDate', 'PatientID']); str(head.PatientName), head.StudyDate\n"
        "print(grey_from_dicom(file.read_bytes(), (40.0, 80.0)).tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.dcm")], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{IN_BRAIN_WINDOW}\n"
    assert "DOE" not in done.stderr
