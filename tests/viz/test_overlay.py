from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgseg_core.viz import legend as legend_room
from pgseg_core.viz import overlay as overlay_room
from pgseg_core.viz.legend import LegendEntry, draw_legend, one_line, percentage, shorten, typeface
from pgseg_core.viz.overlay import MOST_PIXELS, blend, draw_overlay, index_mask
from pgseg_core.viz.palette import BACKGROUND, palette, palette_bytes

NAMES = ("background", "cat", "dog")
PHOTO = (90, 140, 40)


def halves(height: int = 300, width: int = 400) -> np.ndarray:
    """Background left, class 1 right."""
    labels = np.zeros((height, width), dtype=np.uint8)
    labels[:, width // 2 :] = 1
    return labels


def photo_for(labels: np.ndarray, colour: tuple[int, int, int] = PHOTO) -> Image.Image:
    return Image.new("RGB", labels.shape[::-1], colour)


@pytest.fixture
def legends(monkeypatch: pytest.MonkeyPatch) -> list[list[LegendEntry]]:
    """What the legends of this test's overlays were asked to list."""
    asked: list[list[LegendEntry]] = []

    def listen(entries: list[LegendEntry], width: int, size: int) -> Image.Image:
        asked.append(entries)
        return draw_legend(entries, width, size)

    monkeypatch.setattr(overlay_room, "draw_legend", listen)
    return asked


def test_colours_at_known_pixels() -> None:
    picture = draw_overlay(photo_for(halves()), halves(), NAMES, background=True, opacity=0.6)
    photo = np.array(PHOTO, dtype=float)
    cat = np.rint(photo + 0.6 * (np.array(palette()[0]) - photo))
    neutral = np.rint(photo + 0.3 * (np.array(BACKGROUND) - photo))
    assert picture.mode == "RGB"
    assert picture.width == 400
    assert np.allclose(picture.getpixel((390, 5)), cat, atol=1)
    assert np.allclose(picture.getpixel((10, 5)), neutral, atol=1)
    contour = np.array(picture.getpixel((200, 5)))
    assert (contour > 225).all()


def test_opacity_zero_keeps_the_photo_and_one_hides_it() -> None:
    labels = np.ones((200, 400), dtype=int)
    shown = draw_overlay(photo_for(labels), labels, NAMES, background=True, opacity=0)
    hidden = draw_overlay(photo_for(labels), labels, NAMES, background=True, opacity=1)
    assert shown.getpixel((3, 3)) == PHOTO
    assert hidden.getpixel((3, 3)) == palette()[0]


def test_legend_lists_what_occurs_largest_first_background_last(
    legends: list[list[LegendEntry]],
) -> None:
    labels = np.zeros((100, 100), dtype=int)
    labels[:10] = 1
    labels[10:40] = 2
    draw_overlay(photo_for(labels), labels, (*NAMES, "absent"), background=True)
    assert legends == [
        [
            LegendEntry("dog", palette()[1], 0.3),
            LegendEntry("cat", palette()[0], 0.1),
            LegendEntry("background", BACKGROUND, 0.6),
        ]
    ]


def test_without_background_the_first_class_is_a_class(legends: list[list[LegendEntry]]) -> None:
    draw_overlay(photo_for(halves()), halves(), NAMES, background=False)
    assert legends[0][0] == LegendEntry("background", palette()[0], 0.5)


def test_unlabelled_pixels_keep_the_photo(legends: list[list[LegendEntry]]) -> None:
    labels = halves().astype(int)
    labels[:, :100] = 255
    labels[:, 100:200] = -1
    picture = draw_overlay(photo_for(labels), labels, NAMES, background=True)
    assert picture.getpixel((10, 10)) == picture.getpixel((150, 10)) == PHOTO
    assert legends[0][-1] == LegendEntry("unlabelled", None, 0.5)


def test_no_classes_at_all(legends: list[list[LegendEntry]]) -> None:
    labels = np.zeros((40, 60), dtype=int)
    picture = draw_overlay(photo_for(labels), labels, (), background=False)
    assert legends == [[LegendEntry("unlabelled", None, 1.0)]]
    assert picture.getpixel(((picture.width - 60) // 2 + 30, 20)) == PHOTO


def test_names_are_written_into_regions_that_have_room() -> None:
    labels = halves(400, 600)
    named = draw_overlay(photo_for(labels), labels, NAMES, background=True)
    right = np.asarray(named)[:400, 310:]
    assert (right == palette()[0]).all(axis=-1).any(), "the name's plate has the pure class colour"
    assert not (np.asarray(named)[:400, :290] == BACKGROUND).all(axis=-1).any()
    narrow = halves(400, 120)
    unnamed = draw_overlay(
        photo_for(narrow), narrow, ("background", "caterpillars"), background=True
    )
    assert not (np.asarray(unnamed)[:400] == palette()[0]).all(axis=-1).any()


def test_a_long_name_is_cut_to_fit_its_region() -> None:
    labels = halves(400, 600)
    name = "a name that is far too long for half of this photo, however it may be set " * 4
    named = np.asarray(draw_overlay(photo_for(labels), labels, ("", name), background=True))[:400]
    plate = (named == palette()[0]).all(axis=-1)
    assert plate[:, 310:].any()
    assert not plate[:, :290].any()


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (1, 50), (319, 2), (20000, 20), (20, 5000), (321, 240)]
)
def test_photos_of_any_shape_keep_their_size(width: int, height: int) -> None:
    labels = np.zeros((height, width), dtype=int)
    labels[height // 2 :, width // 2 :] = 1
    picture = draw_overlay(photo_for(labels), labels, NAMES, background=True)
    assert picture.width == max(width, 320)
    assert height < picture.height < height + 200


def test_huge_photos_are_reduced() -> None:
    labels = np.zeros((3000, 4000), dtype=np.uint8)
    labels[1000:2000, 1000:3000] = 2
    picture = draw_overlay(photo_for(labels), labels, NAMES, background=True)
    assert picture.width == pytest.approx((MOST_PIXELS * 4 / 3) ** 0.5, abs=2)


def test_many_classes_are_summed_up(legends: list[list[LegendEntry]]) -> None:
    labels = np.kron(np.arange(300).reshape(15, 20), np.ones((20, 20), int))
    names = [f"class {index}" for index in range(300)]
    picture = draw_overlay(photo_for(labels), labels, names, background=False)
    assert len(legends[0]) == 300
    assert picture.height < 300 + 48 * 30


def test_other_modes_and_equal_pictures() -> None:
    labels = halves(60, 80)
    grey = Image.new("L", (80, 60), 100)
    first = draw_overlay(grey, labels, NAMES, background=True)
    second = draw_overlay(grey.convert("RGB"), labels, NAMES, background=True)
    assert first.tobytes() == second.tobytes()


def test_sizes_must_agree() -> None:
    with pytest.raises(AssertionError, match="differ in size"):
        draw_overlay(Image.new("RGB", (4, 3)), np.zeros((4, 3), int), NAMES, background=True)


def test_index_mask_is_read_back_as_labels(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [20, 255, 7]])
    index_mask(labels, background=True).save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as read:
        assert read.mode == "P"
        assert np.array_equal(np.asarray(read), labels)
        assert bytes(read.getpalette() or ()) == palette_bytes(background=True)


def test_more_labels_than_a_palette_holds_are_grey_values(tmp_path: Path) -> None:
    labels = np.array([[0, 256, 1202]])
    index_mask(labels, background=False).save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as read:
        assert np.array_equal(np.asarray(read), labels)


def test_blend_takes_one_colour_or_one_for_each_pixel() -> None:
    photo = np.full((2, 2, 3), 100, dtype=np.uint8)
    colour = np.array([200, 0, 100], dtype=np.uint8)
    opacity = np.array([[0.0, 0.5], [1.0, 0.25]])
    one = blend(photo, colour, opacity)
    assert one[0, 0].tolist() == [100, 100, 100]
    assert one[0, 1].tolist() == [150, 50, 100]
    assert one[1, 0].tolist() == [200, 0, 100]
    assert np.array_equal(one, blend(photo, np.tile(colour, (2, 2, 1)), opacity))


def test_names_become_one_line_and_are_cut_to_fit() -> None:
    assert one_line(" polar\n bear\t\x07(white) ") == "polar bear (white)"
    font = typeface(14)
    assert shorten("cat", font, 1000) == "cat"
    cut = shorten("a very long class name indeed", font, 90)
    assert cut.endswith("…")
    assert font.getlength(cut) <= 90
    assert font.getlength(cut.rstrip("…") + "mm…") > 80
    assert shorten("wide", font, 0) == "…"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0 %"), (0.0004, "<0.1 %"), (0.1234, "12.3 %"), (0.9999, ">99.9 %"), (1, "100 %")],
)
def test_percentages_never_round_to_nothing_or_all(share: float, text: str) -> None:
    assert percentage(share) == text


def test_legend_grows_downwards_and_folds() -> None:
    entry = LegendEntry("an everyday class name", (10, 20, 30), 0.01)
    heights = [draw_legend([entry] * count, 400, 14).height for count in (1, 8, 48, 300)]
    assert heights[0] < heights[1] < heights[2] == heights[3]
    assert draw_legend([entry] * 8, 1600, 14).height < heights[1]
    assert draw_legend([], 320, 14).width == 320


def test_legend_draws_inside_its_width() -> None:
    entry = LegendEntry("W" * 300, (10, 20, 30), 0.5)
    picture = np.asarray(draw_legend([entry] * 9, 320, 13))
    assert (picture[:, -4:] == 255).all()


def test_many_scripts_have_letters() -> None:
    font = typeface(16)
    missing = font.getmask("\U000e0fff").getbbox()
    for letter in "éßłğΩяאب":
        assert font.getmask(letter).getbbox() not in (None, missing)
    assert legend_room.typeface(16) is font
