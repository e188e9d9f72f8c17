import io

import pytest
from PIL import Image, ImageEnhance

from pgseg_core.data.pairs import read_pairs
from pgseg_core.data.prepare.build import prepare
from pgseg_core.data.prepare.captions import clean_caption
from pgseg_core.data.prepare.duplicates import MAX_DIFFERENCE, fingerprint
from pgseg_core.data.prepare.options import Filters, PrepareOptions, parse_part
from pgseg_core.errors import ConfigError
from tests.data.conftest import jpeg, png, random_image


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  a   dog\n on\tgrass ", "a dog on grass"),
        ("salt &amp; pepper", "salt & pepper"),
        ("fish &amp;amp; chips &#39;n&#39; peas", "fish & chips 'n' peas"),
        ("the cafÃ© on the corner", "the café on the corner"),
        ("cafe\u0301", "café"),
        ("zero\u200bwidth and \u202eturned\u202c", "zerowidth and turned"),
        ("a\u00a0b\u3000c", "a b c"),
        ("“quoted” — kept", "“quoted” — kept"),
        ("bell\x07 and null\x00", "bell and null"),
        ("می‌خواهم", "می‌خواهم"),
        ("👩‍🚀 in space", "👩‍🚀 in space"),
        ("half a pair \ud83d", "half a pair �"),
        ("&nbsp; \u200b", ""),
        ("AT&T", "AT&T"),
    ],
)
def test_captions_are_cleaned_and_say_the_same(text, clean):
    assert clean_caption(text) == clean
    assert clean_caption(clean) == clean


def write_images(folder, images):
    """Write named images, each with its captions beside it."""
    folder.mkdir()
    for name, (content, *captions) in images.items():
        (folder / name).write_bytes(content)
        (folder / name).with_suffix(".txt").write_text("\n".join(captions))
    return folder


def prepare_with(tmp_path, images, **filters):
    source = write_images(tmp_path / "in", images)
    options = PrepareOptions(filters=Filters(**filters))
    manifest = prepare([source], tmp_path / "out", options).manifest
    return manifest.failed, [pair.captions for pair in read_pairs(tmp_path / "out", "train")]


def test_sides_and_their_ratio(tmp_path):
    images = {
        "a.jpg": (jpeg(random_image(0, 64, 64)), "good"),
        "b.jpg": (jpeg(random_image(1, 31, 90)), "narrow"),
        "c.png": (png(random_image(2, 193, 64)), "long"),
        "d.png": (png(random_image(3, 192, 64)), "just"),
    }
    failed, kept = prepare_with(tmp_path, images, min_side=32, max_aspect=3)
    assert failed == {"short side below 32": 1, "sides in a ratio above 3": 1}
    assert kept == [("good",), ("just",)]


def test_numbers_of_words(tmp_path):
    images = {
        "a.jpg": (jpeg(random_image(0)), "one", "one two", "one two three four"),
        "b.jpg": (jpeg(random_image(1)), "one"),
        "c.jpg": (jpeg(random_image(2)), "  "),
    }
    failed, kept = prepare_with(tmp_path, images, min_words=2, max_words=3)
    assert failed == {"no caption": 1, "no caption of a wanted length": 1}
    assert kept == [("one two",)]


def scene(seed):
    return random_image(seed, 200, 150)


def variants():
    brighter = ImageEnhance.Brightness(scene(0)).enhance(1.1)
    return {
        "a.jpg": (jpeg(scene(0), quality=95), "first"),
        "b.jpg": (jpeg(scene(0), quality=95), "same file"),
        "c.png": (png(scene(0)), "same pixels"),
        "d.jpg": (jpeg(scene(0).resize((100, 75)), quality=60), "smaller"),
        "e.jpg": (jpeg(brighter), "brighter"),
        "f.jpg": (jpeg(scene(1)), "other"),
        "g.png": (png(Image.new("RGB", (60, 60), "red")), "red"),
        "h.png": (png(Image.new("RGB", (60, 60), "blue")), "blue"),
    }


@pytest.mark.parametrize(
    ("duplicates", "failed", "gone"),
    [
        ("keep", {}, set()),
        ("exact", {"duplicate, same file": 1}, {"same file"}),
        (
            "near",
            {"duplicate, same file": 1, "duplicate, looks the same": 3},
            {"same file", "same pixels", "smaller", "brighter"},
        ),
    ],
)
def test_duplicates(tmp_path, duplicates, failed, gone):
    counted, kept = prepare_with(tmp_path, variants(), duplicates=duplicates)
    assert counted == failed
    assert {captions[0] for _, *captions in variants().values()} - gone == {c for (c,) in kept}


def test_different_pictures_are_far_apart():
    looks = [fingerprint(jpeg(scene(seed))) for seed in range(40)]
    apart = [(a ^ b).bit_count() for n, a in enumerate(looks) for b in looks[:n]]
    assert min(apart) > MAX_DIFFERENCE
    assert fingerprint(png(Image.new("RGB", (60, 60), "red"))) is None


def test_avif_and_webp_come_in_as_jpeg(tmp_path):
    images = {}
    for kind in ("avif", "webp"):
        buffer = io.BytesIO()
        random_image(3, 640, 480).save(buffer, kind)
        images[f"{kind}.{kind}"] = (buffer.getvalue(), kind)
    failed, kept = prepare_with(tmp_path, images)
    assert (failed, kept) == ({}, [("avif",), ("webp",)])
    for pair in read_pairs(tmp_path / "out", "train"):
        assert pair.image.size == (341, 256)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"duplicates": "some"}, "duplicates is 'some'"),
        ({"max_aspect": 0.5}, "max_aspect is 0.5"),
        ({"min_words": 5, "max_words": 4}, "max_words is 4, and min_words 5"),
    ],
)
def test_filters_that_make_no_sense_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        Filters(**values)


def test_parts():
    assert parse_part("2/4") == (2, 4)
    for text in ("2", "2/", "a/b", "-1/3"):
        with pytest.raises(ConfigError, match="not of the form I/N"):
            parse_part(text)
    for part in ((0, 4), (5, 4)):
        with pytest.raises(ConfigError, match=f"no part {part[0]} of 4"):
            PrepareOptions(part=part)
