import io

import pytest
from PIL import Image

from pgseg_core.data.prepare.encode import to_stored_jpeg
from pgseg_core.errors import DataError
from tests.data.conftest import jpeg, png, random_image


def _stored(content, short_side=256):
    stored = to_stored_jpeg(content, name="x", short_side=short_side)
    image = Image.open(io.BytesIO(stored.content))
    assert image.size == (stored.width, stored.height)
    return stored.content, image


def test_a_jpeg_that_needs_no_change_keeps_its_bytes():
    for image in (random_image(0), random_image(0).convert("L")):
        content = jpeg(image, quality=33)
        assert _stored(content)[0] == content


def test_what_needs_a_change_becomes_an_upright_rgb_jpeg():
    exif = Image.Exif()
    exif[0x0112] = 6
    for content, size in [
        (png(random_image(0)), (48, 40)),
        (jpeg(random_image(0).convert("CMYK")), (48, 40)),
        (jpeg(random_image(0), exif=exif), (40, 48)),
        (jpeg(random_image(0, 900, 600)), (384, 256)),
        (jpeg(random_image(0, 3000, 6000)), (256, 512)),
    ]:
        _, image = _stored(content)
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", size)
        assert image.getexif().get(0x0112) is None


def test_no_short_side_keeps_every_size():
    content = jpeg(random_image(0, 900, 600))
    assert _stored(content, None)[0] == content


def test_a_very_long_image_keeps_its_short_side():
    assert _stored(png(Image.new("RGB", (20000, 20))))[1].size == (20000, 20)


def test_longer_than_a_jpeg_can_be_is_refused():
    with pytest.raises(DataError, match="too long for a JPEG"):
        _stored(png(Image.new("L", (66000, 1))))


def test_a_truncated_jpeg_is_not_kept():
    with pytest.raises(DataError, match="x: not an image"):
        _stored(jpeg(random_image(0, 200, 200))[:-60])
