"""Every way to hand over a picture gives the same RGB photo."""

import numpy as np
import pytest
import torch
from PIL import Image

from pgseg_core.errors import DataError
from pgseg_core.photos.pictures import as_photos

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
PHOTO = Image.fromarray(PIXELS)
FIRST = np.moveaxis(PIXELS, -1, 0)


@pytest.mark.parametrize(
    "picture",
    [
        PHOTO,
        PIXELS,
        FIRST,
        PIXELS.astype(np.int64),
        PIXELS / 255,
        PIXELS.astype(np.float32),
        PIXELS.astype(np.uint16) * 257,
        torch.from_numpy(FIRST.copy()),
        torch.from_numpy(PIXELS),
        torch.from_numpy(FIRST / 255),
        torch.from_numpy(FIRST.copy()).to(torch.bfloat16) / 255,
        np.dstack([PIXELS, np.full((5, 7), 255, np.uint8)]),
    ],
)
def test_one_picture(picture):
    photos, several = as_photos(picture)
    assert not several
    difference = np.asarray(photos[0]).astype(int) - PIXELS
    loose = isinstance(picture, torch.Tensor) and picture.dtype == torch.bfloat16
    assert np.abs(difference).max() <= (1 if loose else 0)


def test_grey_alpha_and_deep_grey():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for picture in (grey, grey[..., None], torch.from_numpy(grey), grey.astype(np.uint16) * 257):
        photos, _ = as_photos(picture)
        assert photos[0].mode == "RGB"
        np.testing.assert_array_equal(np.asarray(photos[0])[..., 1], grey)
    clear = Image.new("RGBA", (3, 2), (255, 0, 0, 0))
    assert as_photos(clear)[0][0].getpixel((0, 0)) == (255, 255, 255)
    deep = Image.fromarray(np.full((2, 2), 65535, np.uint16))
    assert as_photos(deep)[0][0].getpixel((0, 0)) == (255, 255, 255)
    assert as_photos(np.array([[True, False]]))[0][0].getpixel((0, 0)) == (255, 255, 255)


def test_batches(tmp_path):
    PHOTO.save(tmp_path / "a.png")
    mixed = [
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        PHOTO,
        PIXELS,
        torch.from_numpy(FIRST.copy()),
    ]
    for batch in (mixed, np.stack([PIXELS] * 2), torch.from_numpy(np.stack([FIRST] * 2))):
        photos, several = as_photos(batch)
        assert several
        assert len(photos) == len(batch)
        for photo in photos:
            np.testing.assert_array_equal(np.asarray(photo), PIXELS)
    assert as_photos([]) == ([], True)


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.zeros((5, 5, 6)), "shape (5, 5, 6)"),
        (np.zeros(7), "shape (7,)"),
        (np.zeros((0, 4, 3)), "shape (0, 4, 3)"),
        (np.full((4, 4, 3), -1.5), "from -1.5"),
        (np.full((4, 4, 3), np.nan), "from nan"),
        (np.full((4, 4, 3), 300), "to 300"),
    ],
)
def test_what_is_no_picture_is_refused(picture, words):
    with pytest.raises(DataError) as refused:
        as_photos(picture)
    assert words in refused.value.message
