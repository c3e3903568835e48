import io

import cv2
import numpy as np
import pytest
from PIL import Image

from trainables.audit.facts import measure
from trainables.data.images import UnreadableImage, decode_grey, grey_from_array, resize_square

GREY_HW = np.tile(np.arange(0, 200, 4, dtype=np.uint8), (40, 1))


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def in_mode(mode: str) -> Image.Image:
    grey = Image.fromarray(GREY_HW)
    if mode == "RGBA":
        return Image.merge("RGBA", [grey, grey, grey, Image.new("L", grey.size, 7)])
    return grey.convert(mode)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA"])
def test_every_mode_gives_the_same_grey(mode: str) -> None:
    decoded_HW = decode_grey(encoded(in_mode(mode)))
    assert decoded_HW.dtype == np.uint8
    assert np.abs(decoded_HW.astype(int) - GREY_HW).max() <= 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("transparency", [0, bytes(range(256))])
def test_a_palette_gives_its_colours_whatever_is_transparent(transparency: int | bytes) -> None:
    decoded_HW = decode_grey(encoded(in_mode("P"), transparency=transparency))
    assert np.abs(decoded_HW.astype(int) - GREY_HW).max() <= 1


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_printing_colours_give_the_same_grey(kind: str) -> None:
    cmyk = in_mode("RGB").convert("CMYK")
    decoded_HW = decode_grey(encoded(cmyk, kind, **({"quality": 100} if kind == "JPEG" else {})))
    assert np.abs(decoded_HW.astype(int) - GREY_HW).max() <= 6


def test_one_bit_gives_black_and_white() -> None:
    checkers_HW = np.indices((6, 8)).sum(axis=0) % 2 == 1
    assert (decode_grey(encoded(Image.fromarray(checkers_HW))) == checkers_HW * 255).all()


def test_one_pixel_is_an_image() -> None:
    assert decode_grey(encoded(Image.new("L", (1, 1), 77))).tolist() == [[77]]
    deep = Image.fromarray(np.full((1, 1), 3000, np.uint16))
    assert decode_grey(encoded(deep)).tolist() == [[0]], "nothing to scale by: a flat image of many bits is black"
    assert (resize_square(decode_grey(encoded(Image.new("L", (1, 1), 77))), 16) == 77).all()


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF"])
def test_of_several_frames_the_first_counts(kind: str) -> None:
    white = Image.new("L", (GREY_HW.shape[1], GREY_HW.shape[0]), 255)
    decoded_HW = decode_grey(encoded(in_mode("L"), kind, save_all=True, append_images=[white]))
    assert (decoded_HW == GREY_HW).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_colour_of_sixteen_bits_keeps_its_high_byte(kind: str) -> None:
    deep_HW3 = np.dstack([GREY_HW.astype(np.uint16) * 256 + 9] * 3)
    content = cv2.imencode("." + kind.lower(), deep_HW3)[1].tobytes()
    assert np.abs(decode_grey(content).astype(int) - GREY_HW).max() <= 1


def test_the_content_decides_not_the_name(tmp_path) -> None:
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(encoded(in_mode("L")))
    assert (decode_grey(path.read_bytes()) == GREY_HW).all()


def test_metadata_does_not_turn_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees"; whether the scanner's picture or a viewer set it is unknown
    plain_HW = decode_grey(encoded(in_mode("L"), "JPEG"))
    assert (decode_grey(encoded(in_mode("L"), "JPEG", exif=exif)) == plain_HW).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git-LFS pointer"),
        (b"not an image at all", "not an image"),
        (encoded(in_mode("L"), "JPEG", quality=95)[:-200], "truncated"),
        (encoded(in_mode("RGB"))[:-60], r"\w"),
    ],
)
def test_unreadable_content_says_why(content: bytes, words: str) -> None:
    with pytest.raises(UnreadableImage, match=words) as caught:
        decode_grey(content)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_cut(kind: str) -> None:
    ramp_HW = np.tile(np.linspace(1000, 4000, 200).astype(np.uint16), (50, 1))
    decoded_HW = decode_grey(encoded(Image.fromarray(ramp_HW), kind))
    assert decoded_HW.dtype == np.uint8
    assert (decoded_HW.min(), decoded_HW.max()) == (0, 255)
    assert len(np.unique(decoded_HW)) > 150
    if kind == "TIFF":
        big_endian = Image.fromarray(ramp_HW.astype(">u2"))
        assert (decode_grey(encoded(big_endian, kind)) == decoded_HW).all()
    float_HW = decode_grey(encoded(Image.fromarray((ramp_HW / 4000).astype(np.float32)), "TIFF"))
    assert np.abs(float_HW.astype(int) - decoded_HW).max() <= 1


@pytest.mark.parametrize(
    ("pixels", "kind"),
    [
        (GREY_HW, "PNG"),
        (np.dstack([GREY_HW, GREY_HW[:, ::-1], GREY_HW // 2]), "PNG"),
        (GREY_HW[::-1, ::2], "PNG"),
        (GREY_HW.astype(np.uint16) * 20, "PNG"),
        (GREY_HW.astype(np.int32) - 90, "TIFF"),
        (GREY_HW.astype(np.float32) / 7, "TIFF"),
    ],
)
def test_an_array_gives_what_its_file_gives(pixels: np.ndarray, kind: str) -> None:
    from_file_HW = decode_grey(encoded(Image.fromarray(np.ascontiguousarray(pixels)), kind))
    assert len(np.unique(from_file_HW)) > 20
    assert np.array_equal(grey_from_array(pixels), from_file_HW)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((4, 4, 4), np.uint8), "4 x 4 x 4 array of uint8"),
        (np.zeros((4, 4, 3), np.float32), "array of float32; expected numbers HW"),
        (np.zeros((4, 4), complex), "array of complex128"),
        (np.zeros((4, 4), bool), "array of bool"),
        (np.zeros((0, 4), np.uint8), "without pixels"),
        (np.full((4, 4), np.nan), "not finite"),
        (np.array(3), "single array"),
    ],
)
def test_an_array_that_is_no_image_says_why(pixels: np.ndarray, words: str) -> None:
    with pytest.raises(UnreadableImage, match=words):
        grey_from_array(pixels)


def test_an_image_too_large_to_be_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainables.data.images.MAX_PIXELS", 100)
    with pytest.raises(UnreadableImage, match="pixels"):
        decode_grey(encoded(in_mode("L")))


def test_the_same_rule_is_told_of_an_image_that_pillow_does_not_open() -> None:
    with pytest.raises(UnreadableImage, match=r"^more than 50000000 pixels$"):
        decode_grey(b"P5 20000 20000 255 ")


def test_shrinking_averages_areas() -> None:
    checkers_HW = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(200)
    assert (resize_square(checkers_HW.astype(np.uint8), 16) == 100).all()
    assert resize_square(GREY_HW, 96).shape == (96, 96)


@pytest.mark.filterwarnings("ignore")  # Pillow has much to say of damaged files
@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "JPEG", "WEBP", "BMP"])
def test_a_damaged_file_is_unreadable_and_nothing_worse(kind: str) -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 20), dtype=np.uint8)).save(file, kind)
    whole, rng = file.getvalue(), np.random.default_rng(1)
    damaged = [whole[:length] for length in range(1, len(whole), max(1, len(whole) // 60))]
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(0, min(len(whole), 200), 3):
            content[place] = rng.integers(0, 256)
        damaged.append(bytes(content))
    outcomes = set()
    for content in damaged:
        try:
            measure(content, decode_grey(content))
            outcomes.add("read")
        except UnreadableImage as error:
            assert str(error)
            outcomes.add("unreadable")
    assert "unreadable" in outcomes
