import hashlib

import numpy as np
import pytest

from pgseg_core.errors import ConfigError
from pgseg_core.text.vocabulary import load_vocabulary
from pgseg_core.viz.palette import (
    BACKGROUND,
    UNLABELLED,
    _appearance,
    class_colours,
    own_colours,
    palette,
    palette_bytes,
    text_colour,
)
from pgseg_core.vocabularies import PUBLISHED_COLOURS, published_colours


def test_256_different_colours_none_of_them_the_backgrounds() -> None:
    colours = palette()
    assert len(colours) == len(set(colours)) == 256
    assert BACKGROUND not in colours
    assert colours[:3] == ((0x00, 0x72, 0xB2), (0xE6, 0x9F, 0x00), (0x00, 0x9E, 0x73))


@pytest.mark.parametrize(("count", "least"), [(8, 65), (20, 50), (256, 17)])
def test_colours_are_far_apart(count: int, least: float) -> None:
    colours = np.array(palette()[:count], dtype=float)
    distance = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
    assert distance[~np.eye(count, dtype=bool)].min() >= least


def test_the_first_colours_differ_for_every_kind_of_eyes() -> None:
    seen = _appearance(np.array(palette()[:8]))  # 0.02 in OKLab is a just noticeable difference
    distance = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
    assert distance[~np.eye(8, dtype=bool)].min(axis=0) == pytest.approx(
        [0.156, 0.096, 0.076], abs=0.001
    )


def test_appearance_is_oklab() -> None:
    white, red, blue = _appearance(np.array([[255, 255, 255], [255, 0, 0], [0, 0, 255]]))[:, 0]
    assert white == pytest.approx([1, 0, 0], abs=1e-4)  # values of Ottosson's own page
    assert red == pytest.approx([0.628, 0.2249, 0.1258], abs=1e-3)
    assert blue == pytest.approx([0.452, -0.0325, -0.3115], abs=1e-3)


def test_grey_looks_grey_to_all_eyes() -> None:
    grey = _appearance(np.array([[128, 128, 128]]))[0]
    assert np.allclose(grey, grey[0], atol=2e-3)


def test_a_class_keeps_its_colour() -> None:
    with_background = class_colours(21, background=True)
    assert tuple(with_background[0]) == BACKGROUND
    assert np.array_equal(with_background[1:], class_colours(20, background=False))
    assert np.array_equal(with_background, class_colours(150, background=True)[:21])
    many = class_colours(600, background=False)
    assert np.array_equal(many[256:512], many[:256])


@pytest.mark.parametrize("background", [True, False])
def test_few_and_no_classes(background: bool) -> None:
    assert class_colours(0, background=background).shape == (0, 3)
    assert class_colours(1, background=background).shape == (1, 3)


def test_palette_bytes_fill_an_indexed_image() -> None:
    entries = np.frombuffer(palette_bytes(background=True), dtype=np.uint8).reshape(256, 3)
    assert np.array_equal(entries[:255], class_colours(255, background=True))
    assert tuple(entries[255]) == UNLABELLED


def test_text_is_black_on_light_and_white_on_dark() -> None:
    assert text_colour((255, 255, 255)) == text_colour((240, 228, 66)) == (0, 0, 0)
    assert text_colour((0, 0, 0)) == text_colour((0, 0, 255)) == (255, 255, 255)


def test_text_has_the_contrast_that_small_letters_need() -> None:
    def luminance(colour: tuple[int, int, int]) -> float:
        encoded = np.array(colour) / 255
        linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for colour in palette():
        dark, light = sorted((luminance(colour), luminance(text_colour(colour))))
        assert (light + 0.05) / (dark + 0.05) > 4.5  # WCAG 2, level AA


def test_the_palette_is_the_same_on_every_machine() -> None:
    colours = bytes(channel for colour in palette() for channel in colour)
    assert hashlib.sha256(colours).hexdigest()[:12] == "053ff8a74399"


@pytest.mark.parametrize("name", PUBLISHED_COLOURS)
def test_published_colours_are_of_the_classes_of_their_list(name: str) -> None:
    assert tuple(published_colours(name)) == load_vocabulary(name).names
    assert all(0 <= part <= 255 for colour in published_colours(name).values() for part in colour)


def test_vocs_colours_are_those_of_its_png_files() -> None:
    """Their palette deals the bits of a label, least first, to red, green and blue in turn."""
    names = ("background", *published_colours("voc12"))
    for label, colour in enumerate(own_colours("voc12", names).tolist()):
        for channel in range(3):
            bits = [label >> (3 * place + channel) & 1 for place in range(8)]
            assert colour[channel] == sum(bit << (7 - place) for place, bit in enumerate(bits))


def test_classes_without_published_colours_are_told_which_have() -> None:
    with pytest.raises(ConfigError, match=r"coco-stuff have no published colours") as caught:
        own_colours("coco-stuff", ["sky"])
    assert "cityscapes" in caught.value.hint
