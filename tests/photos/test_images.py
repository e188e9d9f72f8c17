import contextlib
import io
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pgseg_core.errors import DataError
from pgseg_core.photos import images
from pgseg_core.photos.images import list_images, read_image
from tests.data.conftest import jpeg, random_image

# Pillow tells of odd metadata by warnings; pytest shows them although images.py silences them.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("kind", ["path", "bytes", "file"])
def test_every_kind_of_source(tmp_path, kind):
    content = encoded(random_image(0), "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(content)
    source = {"path": path, "bytes": content, "file": io.BytesIO(content)}[kind]
    assert np.array_equal(pixels(read_image(source)), pixels(random_image(0)))


def test_the_result_outlives_the_file(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(random_image(0)))
    image = read_image(path)
    path.unlink()
    assert image.resize((4, 4)).getpixel((0, 0))


def test_grey_becomes_three_equal_channels():
    image = pixels(read_image(encoded(random_image(0).convert("L"), "PNG")))
    assert (image[..., 0] == image[..., 1]).all()
    assert (image[..., 0] == image[..., 2]).all()


def test_bilevel_is_black_and_white():
    image = pixels(read_image(encoded(random_image(0).convert("1"), "PNG")))
    assert set(np.unique(image)) == {0, 255}


def test_cmyk_jpeg_keeps_its_colours():
    red = Image.new("RGB", (16, 16), (230, 20, 20)).convert("CMYK")
    image = pixels(read_image(jpeg(red, quality=95)))
    assert abs(image.mean((0, 1)) - (230, 20, 20)).max() < 12


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_put_on_white(mode):
    clear = Image.new(mode, (5, 4), 0)
    assert (pixels(read_image(encoded(clear, "PNG"))) == 255).all()


def test_half_transparency_is_half_white():
    image = Image.new("RGBA", (5, 4), (0, 0, 0, 128))
    assert abs(pixels(read_image(encoded(image, "PNG"))) - 127).max() <= 1


def test_palette_with_a_transparent_colour():
    image = Image.new("P", (6, 6), 0)
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.paste(1, (0, 0, 3, 6))
    content = encoded(image, "PNG", transparency=0)
    result = pixels(read_image(content))
    assert result[0, 0].tolist() == [200, 100, 0]
    assert result[0, 5].tolist() == [255, 255, 255]


def test_rgb_with_a_transparent_colour():
    image = Image.new("RGB", (4, 4), (1, 2, 3))
    assert (pixels(read_image(encoded(image, "PNG", transparency=(1, 2, 3)))) == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind):
    values = np.array([[0, 256, 32768, 65535]], dtype=np.uint16)
    result = pixels(read_image(encoded(Image.fromarray(values), kind)))[0, :, 0]
    assert result.tolist() == [0, 1, 128, 255]


def test_floats_from_zero_to_one_span_black_to_white():
    values = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    result = pixels(read_image(encoded(Image.fromarray(values), "TIFF")))[0, :, 0]
    assert result.tolist() == [0, 128, 255]


def test_other_deep_values_are_stretched():
    values = np.array([[-10, 0, 100_000]], dtype=np.int32)
    result = pixels(read_image(encoded(Image.fromarray(values), "TIFF")))[0, :, 0]
    assert result.tolist() == [0, 0, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_viewers_do(orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    content = jpeg(random_image(3), exif=exif, quality=95)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert np.array_equal(pixels(read_image(content)), pixels(expected))
    if orientation >= 5:
        assert read_image(content).size == (40, 48)


@pytest.mark.parametrize("value", [0, 9, 77])
def test_a_senseless_orientation_is_upright(value):
    exif = Image.Exif()
    exif[0x0112] = value
    assert read_image(jpeg(random_image(0), exif=exif)).size == (48, 40)


@pytest.mark.parametrize("size", [(1, 1), (20000, 20), (3, 5000)])
def test_odd_sizes(size):
    assert read_image(encoded(Image.new("RGB", size), "PNG")).size == size


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF"])
def test_other_formats(kind):
    assert read_image(encoded(random_image(0), kind)).size == (48, 40)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 250)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert pixels(read_image(content)).max() == 0


def test_a_large_jpeg_may_be_decoded_small():
    content = jpeg(random_image(0, 1600, 1200))
    image = read_image(content, at_least=256)
    assert image.size == (400, 300)
    assert read_image(content).size == (1600, 1200)


@given(width=st.integers(1, 300), height=st.integers(1, 300), at_least=st.integers(1, 300))
@settings(max_examples=30, deadline=None)
def test_decoding_small_keeps_the_short_side_asked_for(width, height, at_least):
    image = read_image(jpeg(Image.new("RGB", (width, height))), at_least=at_least)
    assert min(image.size) >= min(width, height, at_least)


@pytest.mark.parametrize("part", [0, 1, 2, 20, 200, -200, -20])
def test_a_truncated_jpeg_is_named(tmp_path, part):
    path = tmp_path / "cut.jpg"
    path.write_bytes(jpeg(random_image(0, 200, 200), quality=95)[:part])
    with pytest.raises(DataError, match=r"cut\.jpg: not an image") as caught:
        read_image(path)
    assert caught.value.hint
    assert "0x" not in caught.value.message


@pytest.mark.parametrize("content", [b"", b"hello", b"<svg></svg>", b"\xff\xd8\xff", b"GIF89a"])
def test_what_is_no_image_is_named(content):
    with pytest.raises(DataError, match=r"thing: not an image"):
        read_image(content, name="thing")


@given(position=st.integers(0, 2000), value=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP"])
def test_a_damaged_byte_gives_an_image_or_our_error(kind, position, value):
    content = bytearray(encoded(random_image(0), kind))
    content[position % len(content)] = value
    with contextlib.suppress(DataError):
        assert read_image(bytes(content)).mode == "RGB"


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(DataError, match="not an image"):
        read_image(tmp_path)


def test_a_pipe_is_refused_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(DataError, match=r"pipe\.jpg: a pipe"):
        read_image(tmp_path / "pipe.jpg")


def test_too_many_pixels_are_refused_from_the_header(monkeypatch):
    content = encoded(Image.new("1", (3000, 1000)), "PNG")
    monkeypatch.setattr(images, "MAX_PIXELS", 2_000_000)
    with pytest.raises(DataError, match="more than 2 million pixels"):
        read_image(content, name="bomb")


def test_pillows_own_refusal_is_ours_too(monkeypatch):
    content = encoded(Image.new("1", (3000, 1000)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    with pytest.raises(DataError, match="million pixels"):
        read_image(content, name="bomb")


@pytest.mark.slow
def test_a_hundred_megapixels_open():
    content = encoded(Image.new("L", (12000, 9000)), "PNG")
    assert read_image(content).size == (12000, 9000)


def test_list_images_is_sorted_and_passes_over_what_is_hidden(tmp_path):
    for name in ("b.PNG", "a.jpg", "sub/c.webp", ".hidden.jpg", ".git/d.jpg", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["a.jpg", "b.PNG", "sub/c.webp"]


def test_list_images_says_what_is_wrong(tmp_path):
    with pytest.raises(DataError, match="no image in"):
        list_images(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        list_images(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is not a folder"):
        list_images(tmp_path / "file")
