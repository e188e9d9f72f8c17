import io

import numpy as np
import pytest
import torch
from PIL import Image

from pgseg_core.data import jpeg as fast
from pgseg_core.data.jpeg import BoxReader
from pgseg_core.data.transforms import Box, to_square
from pgseg_core.errors import DataError
from pgseg_core.photos.images import read_image
from tests.data.conftest import jpeg, random_image
from tests.shared_data import shared


def box_of(source, box, at_least=10_000):
    return BoxReader().read(source, lambda width, height: box, at_least=at_least, name="a")


def whole(source, at_least=10_000):
    def choose(width, height):
        return Box(0, 0, width, height)

    return BoxReader().read(source, choose, at_least=at_least, name="a")


def rough_image(seed, width, height):
    """Edges and fine detail over smooth colours."""
    smooth = np.asarray(random_image(seed, width, height)).astype(float)
    rows, columns = np.mgrid[:height, :width]
    stripes = 30 * np.sign(np.sin((rows * rows + 3 * columns * rows) / 900))
    noise = np.random.default_rng(seed).normal(0, 6, (height, width, 1))
    return Image.fromarray((smooth + stripes[..., None] + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"progressive": True}, {"quality": 40}]
)
def test_a_jpegs_pixels_are_pillows(options):
    source = jpeg(rough_image(1, 61, 43), **options)
    expected = np.asarray(read_image(source))
    assert np.array_equal(whole(source), expected)
    part = box_of(source, Box(5, 3, 20, 31))
    assert np.array_equal(part, expected[3:34, 5:25])


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rotated():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(random_image(2, 30, 20), "JPEG", exif=exif)


def behind_a_long_comment(source):
    """Metadata far from the beginning: fill bytes and a comment of 65,533 bytes before them."""
    return source[:2] + b"\xff\xff\xff\xfe\xff\xff" + bytes(65_533) + source[2:]


@pytest.mark.parametrize(
    "source",
    [
        rotated(),
        behind_a_long_comment(rotated()),
        encoded(random_image(2, 30, 20), "PNG"),
        encoded(random_image(2, 30, 20), "WEBP"),
        encoded(random_image(2, 30, 20).convert("L"), "JPEG"),
        encoded(random_image(2, 30, 20).convert("CMYK"), "JPEG"),
        encoded(random_image(2, 30, 20), "JPEG")[:-2] + b"\0" * 40,
    ],
    ids=["rotated", "rotated, late", "png", "webp", "grey", "cmyk", "no end marker"],
)
def test_every_other_file_gets_pillows_pixels_too(source):
    assert np.array_equal(whole(source), np.asarray(read_image(source)))


def test_an_upright_photo_with_metadata_takes_the_fast_way(monkeypatch):
    monkeypatch.setattr(fast, "read_image", None)
    exif = Image.Exif()
    exif[0x0112] = 1
    assert whole(encoded(random_image(2, 30, 20), "JPEG", exif=exif)).shape == (20, 30, 3)


@pytest.mark.parametrize("source", [b"", b"\xff\xd8\xff", jpeg(random_image(0))[:300]])
def test_a_damaged_file_is_named(source):
    with pytest.raises(DataError, match="a: not an image"):
        whole(source)


@pytest.mark.parametrize(
    ("at_least", "factor"), [(100, 1), (99, 1), (50, 2), (25, 4), (24, 4), (12, 8), (1, 8)]
)
def test_large_boxes_are_decoded_smaller_and_keep_enough(at_least, factor):
    box = Box(9, 6, 103, 101)
    part = box_of(jpeg(random_image(1, 201, 131)), box, at_least)
    assert part.shape == (101 // factor, 103 // factor, 3)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_smaller_decode_shows_the_same_place(factor):
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (256, 256, 3))
    source = jpeg(Image.fromarray(np.ascontiguousarray(ramp)), quality=100)
    part = box_of(source, Box(64, 64, 128, 128), at_least=128 // factor)
    centres = 64 + (np.arange(128 // factor) + 0.5) * factor - 0.5
    assert np.abs(part.mean(axis=(0, 2)) - centres).max() < 1.5


def error(square, exact):
    """Root mean square difference in grey levels."""
    return float((square.double() - exact).square().mean().sqrt())


def exactly(image, size):
    """The antialiased bicubic resize of the uncompressed image, in float64."""
    planes = torch.from_numpy(np.asarray(image).astype(np.float64)).permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(planes, (size, size), mode="bicubic", antialias=True)
    return resized[0].clamp(0, 255)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("side", "size"), [(256, 100), (256, 64), (512, 64), (100, 128)])
def test_resampling_is_as_exact_as_pillows(seed, side, size):
    """Nothing is lost beside Pillow at full size; a smaller decode costs a little and stays below
    what a bilinear resize, torchvision's default, loses."""
    image = rough_image(seed, side, side)
    source = jpeg(image, quality=90)
    exact = exactly(image, size)
    ours = error(to_square(whole(source, at_least=2 * size), size), exact)
    opened = read_image(source)
    planes = [
        torch.from_numpy(np.array(opened.resize((size, size), method))).permute(2, 0, 1)
        for method in (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR)
    ]
    pillows, bilinear = (error(square, exact) for square in planes)
    reduced = side >= 4 * size
    assert ours < (1.6 if reduced else 1.02) * pillows
    if side > size:
        assert ours < bilinear


def test_photos_are_resampled_as_pillow_does():
    photos = sorted(shared("data", "coco_dev", "images").glob("*.jpg"))[:12]
    for path in photos:
        source = path.read_bytes()
        image = read_image(source)
        square = to_square(whole(source), 224).permute(1, 2, 0).numpy()
        theirs = np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC))
        difference = np.abs(square.astype(int) - theirs)
        assert difference.max() <= 4, path.name
        assert (difference > 1).mean() < 1e-3, path.name


def test_memory_is_used_again_and_grows():
    boxes = BoxReader()
    sources = [jpeg(rough_image(seed, side, side)) for seed, side in ((1, 20), (2, 60), (3, 40))]
    for source in (*sources, *sources):
        part = boxes.read(source, lambda w, h: Box(0, 0, w, h), at_least=10_000, name="a")
        assert np.array_equal(part, np.asarray(read_image(source)))
