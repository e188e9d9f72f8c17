"""What a call's inputs stand for, what results are called, and that every source is read."""

import http.server
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pgseg_core.errors import DataError
from pgseg_core.photos.decode import decode_ahead, read_photo
from pgseg_core.photos.fetch import fetch
from pgseg_core.photos.inputs import find_photos

ADDRESS = "https://example.org"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a/x.jpg", "b/x.jpg", "a/x.png", "p/y.png", "p/q/y.png", "p/.hidden/z.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), "red").save(tmp_path / name)
    return tmp_path


def stems(*inputs: str, **options) -> list[str]:
    return [str(photo.stem) for photo in find_photos(inputs, **options)]


def test_names_are_as_short_as_can_be(folder):
    assert stems("a/x.jpg") == ["x"]
    assert stems("a/x.jpg", "a/x.png") == ["x.jpg", "x.png"]
    assert stems("a/x.jpg", "b/x.jpg", "a/x.jpg") == ["a/x", "b/x"]
    Path("a/x_coco.jpg").symlink_to("x.jpg")  # its own results, not those of x.jpg in COCO's format
    assert stems("a/x_coco.jpg", "b/x.jpg") == ["x_coco.jpg", "x"]
    Path("a/x_coco.jpg").unlink()
    assert stems("p") == ["q/y", "y"]
    assert stems("p/**/*.png") == stems("p", "p/y.png") == ["q/y", "y"]
    assert stems("*/x.*") == ["a/x.jpg", "a/x.png", "b/x"]
    assert stems(f"{ADDRESS}/one.jpg?size=2", f"{ADDRESS}/") == ["one", "image"]


def test_what_lies_in_the_results_folder_is_no_input(folder):
    assert stems(".", outside=Path("p")) == ["a/x.jpg", "a/x.png", "b/x"]
    assert stems("p", outside=Path("p")) == ["q/y", "y"]


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=30), max_size=6))
def test_addresses_never_lead_out_of_the_folder(parts):
    photos = find_photos([f"{ADDRESS}/{part}" for part in parts])
    names = [os.path.normpath(photo.stem) for photo in photos]
    assert len(set(names)) == len(names)
    for name in names:
        assert name not in {"", ".", ".."}
        assert not {"/", "\\", "\0"} & set(name)


def test_a_name_that_leaves_no_room_is_cut(folder):
    for end in "ab":
        Image.new("RGB", (4, 4)).save(folder / "p" / f"{'é' * 120}{end}.png")
    names = [stem for stem in stems("p") if stem.startswith("é")]
    assert len(set(names)) == 2
    assert all(len(name.encode()) <= 160 for name in names)


def test_frames_and_pages_are_photos(folder):
    frames = [Image.new("RGB", (8, 6), (20 * k, 0, 0)) for k in range(11)]
    for name, count in (("film.gif", 11), ("pages.tiff", 2), ("moving.png", 3)):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:count])
        photos = find_photos([name])
        assert len(photos) == count
        assert str(photos[-1].stem) == f"{name}/frame_{count}"
        reds = [read_photo(photos[k]).getpixel((0, 0))[0] for k in (count - 1, 0, 1)]
        assert np.allclose(reds, [20 * (count - 1), 0, 20], atol=3)
        ahead = [image.getpixel((0, 0))[0] for _, image in decode_ahead(photos)]
        assert np.allclose(ahead, [20 * k for k in range(count)], atol=3)


def test_a_photo_of_a_phone(folder):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), "red")).save(folder / "phone.heic")
    (photo,) = find_photos(["phone.heic"])
    red, green, _ = read_photo(photo).getpixel((30, 20))
    assert red > 240
    assert green < 20


def test_a_photo_from_an_address(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_port}"
        photos = find_photos([f"{place}/a/x.png", f"{place}/a", f"{place}/gone.png"])
        (_, image), (_, page), (_, gone) = decode_ahead(photos)
        server.shutdown()
    assert image.size == (8, 6)
    assert f"{place}/a: not an image" in page.message
    assert "answers 404" in gone.message
    with pytest.raises(DataError, match="cannot be fetched"):
        fetch(f"{place}/a/x.png")
    with pytest.raises(DataError, match="no address"):
        find_photos(["http://[::1/a.png"])
