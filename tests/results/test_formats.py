"""What other programs read of a result is the mask, pixel for pixel."""

import base64
import io
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from pycocotools.coco import COCO

from pgseg_core.errors import ConfigError
from pgseg_core.results import formats
from pgseg_core.results.coco import encode_rle, merge_datasets
from pgseg_core.results.files import finished_record, write_result
from pgseg_core.results.formats import FORMATS, parse_formats
from pgseg_core.results.names import file_name
from pgseg_core.results.polygons import trace
from tests.results.conftest import blobs, labelled

NAMES = ("background", "sky, blue", "a/b\\..", "🦊 אבג")


@pytest.fixture
def written(tmp_path, photo, monkeypatch):
    monkeypatch.setattr(formats, "_BAND", 16)  # a large photo is cut out in bands
    found = labelled(blobs(), NAMES, background=True)
    (tmp_path / "photos").mkdir()
    file = tmp_path / "photos" / "one.jpg"
    photo.save(file)
    about = {"image": str(file), "question": {"size": None}}
    stem = tmp_path / "out" / "deep" / "one"
    result = write_result(photo, found, stem, about, formats=tuple(FORMATS), file=file)
    return found, result.record


def read(path: str):
    return json.loads(Path(path).read_text("utf-8"))


def test_coco_opens_in_pycocotools(written):
    found, record = written
    api = COCO(record["formats"]["coco"])
    assert {each["id"]: each["name"] for each in api.loadCats(api.getCatIds())} == {
        index: name for index, name in enumerate(NAMES) if index
    }
    for annotation in api.loadAnns(api.getAnnIds()):
        mask = found.labels == annotation["category_id"]
        np.testing.assert_array_equal(api.annToMask(annotation), mask)
        rows, columns = np.nonzero(mask)
        left, top, width, height = annotation["bbox"]
        assert (left, top) == (columns.min(), rows.min())
        assert (left + width - 1, top + height - 1) == (columns.max(), rows.max())
        assert annotation["area"] == mask.sum()
    assert api.loadImgs(1)[0]["file_name"] == "one.jpg"
    assert api.dataset["info"]["image_root"] == "../../photos"


def test_labelme_polygons_cover_the_regions(written, photo):
    """Drawn in their order, as labelme's own export does, with a pixel's tolerance at the edges."""
    found, record = written
    values = read(record["formats"]["labelme"])
    assert (values["imageHeight"], values["imageWidth"]) == (40, 50)
    assert values["imagePath"] == "../../photos/one.jpg"
    assert values["imageData"] is None
    side = 8  # so that the edges that a polygon's filling adds are thin
    canvas = Image.new("L", (50 * side, 40 * side))
    for shape in values["shapes"]:
        corners = [(x * side, y * side) for x, y in shape["points"]]
        ImageDraw.Draw(canvas).polygon(corners, fill=NAMES.index(shape["label"]))
    drawn = np.asarray(canvas)[side // 2 :: side, side // 2 :: side]
    assert (drawn != found.labels).mean() < 0.02


@pytest.mark.parametrize("name", ["deep.png", "cmyk.jpg", "back\\slash.png", "gone.jpg", None])
def test_labelme_gets_the_photo_itself_where_it_cannot_read_the_file(tmp_path, photo, name):
    """It refuses files of 16 bits and CMYK, and a frame or an address has no file."""
    if name == "deep.png":
        Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257).save(
            tmp_path / name
        )
    elif name != "gone.jpg" and name is not None:
        photo.convert("CMYK" if name == "cmyk.jpg" else "RGB").save(tmp_path / name)
    file = None if name is None else tmp_path / name
    found = labelled(blobs(), NAMES, background=True)
    result = write_result(
        photo, found, tmp_path / "out" / "one", {}, formats=["labelme"], file=file
    )
    values = read(result.record["formats"]["labelme"])
    assert values["imagePath"] == ("one.jpg" if name is None else f"../{name}")
    with Image.open(io.BytesIO(base64.b64decode(values["imageData"]))) as inside:
        assert (inside.mode, inside.size) == ("RGB", photo.size)
        small = [np.asarray(each.resize((5, 4), Image.Resampling.BOX)) for each in (inside, photo)]
        np.testing.assert_allclose(*small, atol=12)  # a JPEG


def test_geojson_holds_every_pixel_centre(written):
    found, record = written
    values = read(record["formats"]["geojson"])
    rows, columns = np.mgrid[0:40, 0:50] + 0.5
    seen = np.zeros((40, 50), dtype=int)
    for feature in values["features"]:
        inside = np.zeros((40, 50), dtype=bool)
        for rings in feature["geometry"]["coordinates"]:
            for ring in rings:
                assert ring[0] == ring[-1]
                inside ^= crossings(np.array(ring), columns, rows) % 2 == 1
        seen[inside] = feature["properties"]["index"]
        assert feature["properties"]["name"] == NAMES[feature["properties"]["index"]]
    np.testing.assert_array_equal(seen, found.labels)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1)])
def test_a_region_as_thin_as_a_pixel_does_not_vanish(size):
    mask = np.pad(np.ones(size, dtype=bool), 2)
    (polygon,) = trace(mask)
    x, y = np.meshgrid(np.arange(mask.shape[1]) + 0.5, np.arange(mask.shape[0]) + 0.5)
    np.testing.assert_array_equal(crossings(polygon.outline, x, y) % 2 == 1, mask)


def crossings(ring, x, y):
    """How many edges of a ring a ray to the right of each point meets."""
    count = np.zeros(x.shape, dtype=int)
    for (x0, y0), (x1, y1) in itertools.pairwise(ring):
        if y0 != y1:
            meets = (y0 > y) != (y1 > y)
            count += meets & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return count


def test_scores_enlarged_give_the_mask(written):
    found, record = written
    with np.load(record["formats"]["npz"]) as archive:
        assert tuple(archive["names"]) == NAMES
        scores = torch.from_numpy(archive["scores"])[None]
        size = tuple(archive["size"].tolist())
    enlarged = F.interpolate(scores, size=size, mode="bilinear", align_corners=False)[0]
    np.testing.assert_array_equal(enlarged.argmax(0).numpy(), found.labels)


def test_cutouts_are_the_photo_where_the_class_is(written, photo):
    found, record = written
    folder = Path(record["formats"]["png"])
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [
        "000_background.png", "001_sky_blue.png", "002_a_b.png", "003_אבג.png",
    ]  # fmt: skip
    for label, file in enumerate(files):
        with Image.open(file) as cut:
            pixels = np.asarray(cut)
        seen = (found.labels == label)[..., None]
        np.testing.assert_array_equal(pixels[..., 3:], seen * 255)
        np.testing.assert_array_equal(pixels[..., :3], np.asarray(photo) * seen)


def test_nothing_is_written_beside_the_folder(written, tmp_path):
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "photos"]
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("seed", range(3))
def test_run_lengths_are_those_of_pycocotools(seed):
    from pycocotools import mask as api

    generator = np.random.default_rng(seed)
    mask = generator.random((37, 61)) < (0.5, 0.01, 0.99)[seed]
    expected = api.encode(np.asfortranarray(mask.astype(np.uint8)))
    ours = encode_rle(mask)
    assert ours["counts"] == expected["counts"].decode()
    assert ours["size"] == expected["size"]
    for flat in (np.zeros((3, 5), bool), np.ones((3, 5), bool)):
        whole = api.encode(np.asfortranarray(flat.astype(np.uint8)))
        assert encode_rle(flat)["counts"] == whole["counts"].decode()


def test_data_sets_of_several_photos_are_merged():
    def part(name, *categories):
        return {
            "images": [{"id": 1, "file_name": name}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": categories[0][0]}],
            "categories": [{"id": number, "name": each} for number, each in categories],
        }

    lists = [part("a", (1, "sky"), (2, "road")), part("b", (1, "sky"), (2, "road"))]
    same = merge_datasets(lists, image_root=".")
    assert [each["id"] for each in same["categories"]] == [1, 2]
    assert [(a["id"], a["image_id"]) for a in same["annotations"]] == [(1, 1), (2, 2)]
    own = merge_datasets([part("a", (0, "dog"), (1, "cat")), part("b", (0, "cat"))], image_root=".")
    assert own["categories"] == [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]
    assert [each["category_id"] for each in own["annotations"]] == [1, 2]


def test_a_finished_photo_is_one_asked_the_same(tmp_path, photo):
    found, stem = labelled(blobs(), NAMES, background=True), tmp_path / "one"
    question = {"classes": {"sky": ("sky",)}, "size": None}
    assert finished_record(stem, question, (), None) is None
    record = write_result(photo, found, stem, {"question": question}, formats=("npz",)).record
    assert finished_record(stem, question, ("npz",), None) == json.loads(json.dumps(record))
    assert finished_record(stem, {**question, "size": 64}, (), None) is None
    assert finished_record(stem, question, ("coco",), None) is None
    (tmp_path / "one_mask.png").unlink()
    assert finished_record(stem, question, (), None) is None
    (tmp_path / "one.json").write_text('{"cut off')
    assert finished_record(stem, question, (), None) is None


def test_an_unknown_format_is_refused():
    assert parse_formats(["coco,npz", "coco"]) == ("coco", "npz")
    with pytest.raises(ConfigError, match="Did you mean geojson"):
        parse_formats(["geojsn"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sky", "007_sky"),
        ("../../etc/passwd", "007_etc_passwd"),
        ('a\\b:c*?"<>|\n\x00d', "007_a_b_c_d"),
        ("\u202egpj.exe", "007_gpj_exe"),
        ("🦊", "007"),
        ("x" * 300, "007_" + "x" * 80),
        ("é" * 300, "007_" + "é" * 40),
    ],
)
def test_class_names_as_file_names(name, expected):
    assert file_name(7, name) == expected


def test_a_data_url_is_a_picture(tmp_path, photo):
    from pgseg_core.results.gallery import Entry, keep_thumbnails, write_gallery

    found, stem = labelled(blobs(), NAMES, background=True), tmp_path / "in" / "one"
    about = {"image": "one.jpg", "weights": "runs/a", "question": {}}
    record = write_result(photo, found, stem, about).record
    keep_thumbnails(photo, found.labels, stem, tmp_path)
    page = write_gallery([Entry(stem, record)], tmp_path, skipped=["<b>bad</b>"]).read_text("utf-8")
    start = page.index('<script id="photos" type="application/json">')
    photos = json.loads(page[page.index(">", start) + 1 : page.index("</script>", start)])
    assert photos[0]["overlay"] == "in/one_overlay.png"
    assert photos[0]["picture"] == "index_files/in/one.jpg"
    data = base64.b64decode(photos[0]["plan"].removeprefix("data:image/png;base64,"))
    (tmp_path / "plan.png").write_bytes(data)
    with Image.open(tmp_path / "plan.png") as plan:
        np.testing.assert_array_equal(np.asarray(plan), found.labels)
    assert "&lt;b&gt;bad" in page
    assert "http://" not in page
