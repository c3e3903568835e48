import io

import numpy as np
import pytest
from PIL import Image

from trainables.data.images import UnreadableImage, decode_grey, resize_square

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


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA"])
def test_every_mode_gives_the_same_grey(mode: str) -> None:
    decoded_HW = decode_grey(encoded(in_mode(mode)))
    assert decoded_HW.dtype == np.uint8
    assert np.abs(decoded_HW.astype(int) - GREY_HW).max() <= 1


def test_the_content_decides_not_the_name(tmp_path) -> None:
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(encoded(in_mode("L")))
    assert (decode_grey(path.read_bytes()) == GREY_HW).all()


def test_metadata_does_not_turn_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode_grey(encoded(in_mode("L"), "JPEG", exif=exif)).shape == GREY_HW.shape


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
    float_HW = decode_grey(encoded(Image.fromarray((ramp_HW / 4000).astype(np.float32)), "TIFF"))
    assert np.abs(float_HW.astype(int) - decoded_HW).max() <= 1


def test_an_image_too_large_to_be_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainables.data.images.MAX_PIXELS", 100)
    with pytest.raises(UnreadableImage, match="pixels"):
        decode_grey(encoded(in_mode("L")))


def test_shrinking_averages_areas() -> None:
    checkers_HW = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(200)
    assert (resize_square(checkers_HW.astype(np.uint8), 16) == 100).all()
    assert resize_square(GREY_HW, 96).shape == (96, 96)
