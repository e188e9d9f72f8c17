"""Published forms of image-text sets, written small by the tests, and read as they are."""

import io
import json
import tarfile

import pytest

from pgseg_core.data.manifest import load_manifest
from pgseg_core.data.pairs import read_pairs
from pgseg_core.data.prepare.build import prepare
from pgseg_core.data.prepare.options import Filters, PrepareOptions
from pgseg_core.data.prepare.rows import WebAddress
from pgseg_core.data.prepare.sources import Reading, open_source
from pgseg_core.errors import DataError
from tests.data.conftest import jpeg, png, random_image, write_table
from tests.data.test_tables import captions, read
from tests.shared_data import shared


def write_coco(root, name="captions_val2017.json"):
    (root / "annotations").mkdir(parents=True)
    (root / "val2017").mkdir()
    images = [
        {"id": 7, "file_name": "7.jpg", "coco_url": "http://images.example/7.jpg"},
        {"id": 9, "file_name": "9.jpg", "coco_url": "http://images.example/9.jpg"},
    ]
    notes = [{"image_id": i, "id": n, "caption": f"{i} {n}"} for n, i in enumerate((9, 7, 9))]
    (root / "val2017" / "7.jpg").write_bytes(jpeg(random_image(7)))
    path = root / "annotations" / name
    path.write_text(json.dumps({"info": {}, "images": images, "annotations": notes}))
    return path


def test_coco_captions_find_their_images_and_split(tmp_path):
    path = write_coco(tmp_path)
    for source in (path, tmp_path):
        images = read(source)
        assert captions(images) == {"7.jpg": ("7 1",), "9.jpg": ("9 0", "9 2")}
        assert images[0].place == tmp_path / "val2017" / "7.jpg"
        assert {image.split for image in images} == {"val"}
        assert open_source(source, Reading()).format == "coco"
    assert {image.split for image in read(path, split="test")} == {"test"}


def test_coco_images_from_the_web_by_another_field(tmp_path):
    path = write_coco(tmp_path)
    images = read(path, columns={"image": "coco_url"})
    assert images[1].place == WebAddress("http://images.example/9.jpg")
    with pytest.raises(DataError, match="has no 'flickr'") as caught:
        read(path, columns={"image": "flickr"})
    assert "coco_url" in caught.value.hint


def test_an_instances_file_is_no_captions_file(tmp_path):
    path = tmp_path / "instances_val2017.json"
    path.write_text(json.dumps({"images": [], "annotations": [{"image_id": 1, "bbox": []}]}))
    with pytest.raises(DataError, match="holds no captions") as caught:
        read(path)
    assert "captions_*.json" in caught.value.hint


def test_splits_of_karpathy(tmp_path):
    images = [
        {"filename": f"{n}.jpg", "split": split, "sentences": [{"raw": f"A {n}"}, {"raw": "B"}]}
        for n, split in enumerate(("train", "restval", "test"))
    ]
    path = tmp_path / "dataset_flickr30k.json"
    path.write_text(json.dumps({"dataset": "flickr30k", "images": images}))
    (tmp_path / "flickr30k-images").mkdir()
    (tmp_path / "flickr30k-images" / "2.jpg").touch()
    found = read(tmp_path)
    assert [image.split for image in found] == ["train", "train", "test"]
    assert found[2].place == tmp_path / "flickr30k-images" / "2.jpg"
    assert captions(found)["1.jpg"] == ("A 1", "B")


def test_redcaps_in_a_file_and_in_a_folder_of_them(tmp_path):
    tmp_path = tmp_path / "redcaps" / "annotations"
    tmp_path.mkdir(parents=True)
    for year in (2017, 2018):
        note = {
            "image_id": f"x{year}", "author": "someone", "url": f"https://i.example/{year}.jpg",
            "raw_caption": "My cat!! [OC]", "caption": "my cat", "subreddit": "cats", "score": 9,
        }  # fmt: skip
        document = {"info": {}, "annotations": [note]}
        (tmp_path / f"cats_{year}.json").write_text(json.dumps(document))
    both = ["https://i.example/2017.jpg", "https://i.example/2018.jpg"]
    found = read(tmp_path)
    assert [image.place.url for image in found] == both
    assert [image.name for image in read(tmp_path.parent)] == both
    assert found[0].captions == ("my cat",)
    raw = read(tmp_path / "cats_2017.json", columns={"caption": "raw_caption"})
    assert raw[0].captions == ("My cat!! [OC]",)


@pytest.mark.parametrize("name", ["Flickr8k.token.txt", "results_20130124.token"])
def test_token_files_with_their_lists_of_splits(tmp_path, name):
    text = "".join(f"{image}.jpg#{n}\t{image} {n} .\n" for image in "abc" for n in range(2))
    (tmp_path / name).write_text(text)
    (tmp_path / "Flickr8k.lemma.token.txt").write_text(text)
    (tmp_path / "Flickr_8k.trainImages.txt").write_text("a.jpg\n")
    (tmp_path / "test.txt").write_text("b\n")
    (tmp_path / "Flicker8k_Dataset").mkdir()
    (tmp_path / "Flicker8k_Dataset" / "b.jpg").touch()
    found = read(tmp_path)
    assert captions(found)["b.jpg"] == ("b 0 .", "b 1 .")
    assert [image.split for image in found] == ["train", "test", "none"]
    assert found[1].place == tmp_path / "Flicker8k_Dataset" / "b.jpg"


def test_a_token_file_of_another_form_names_the_line(tmp_path):
    (tmp_path / "x.token").write_text("a.jpg#0\tOne\na.jpg Two\n")
    with pytest.raises(DataError, match="line 2: not of the form"):
        read(tmp_path / "x.token")


def write_tar(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def test_shards_of_others_are_filtered_resized_and_cut_anew(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    record = {"url": "http://x.example/0.jpg", "key": "000000000", "caption": "a &amp; b"}
    write_tar(
        theirs / "00000.tar",
        {
            "000000000.jpg": jpeg(random_image(0, 400, 300)),
            "000000000.json": json.dumps(record).encode(),
            "000000000.txt": b"a & b",
            "000000001.json": json.dumps({**record, "status": "failed_to_download"}).encode(),
            "000000002.webp": png(random_image(2)),
            "000000002.txt": b"of open_clip",
            "000000003.jpg": jpeg(random_image(3)),
        },
    )
    write_tar(theirs / "00001.tar", {"a/7.png": png(random_image(4, 20, 20)), "a/7.txt": b"small"})
    options = PrepareOptions(short_side=150, filters=Filters(min_side=30))
    out = tmp_path / "out"
    manifest = prepare([theirs], out, options).manifest
    (source,) = manifest.sources
    assert (source.format, source.seen, source.kept) == ("shards", 5, 2)
    assert manifest.failed == {"no caption": 1, "no image named": 1, "short side below 30": 1}
    pairs = list(read_pairs(out, "train"))
    assert [pair.captions for pair in pairs] == [("a & b",), ("of open_clip",)]
    assert pairs[0].image.size == (200, 150)
    pattern = prepare([theirs / "{00000..00001}.tar"], tmp_path / "again", options).manifest
    assert pattern.splits == manifest.splits
    with pytest.raises(DataError, match="1 of 3 shards missing"):
        read(theirs / "{00000..00002}.tar")


def test_a_prepared_folder_as_a_source_keeps_splits_names_and_bytes(tmp_path):
    first = write_table(tmp_path / "a", 3)
    second = write_table(tmp_path / "b", 2, split="val")
    prepare([first, second], tmp_path / "once", PrepareOptions(samples_per_shard=2))
    manifest = prepare([tmp_path / "once"], tmp_path / "twice").manifest
    assert {split: manifest.num_samples(split) for split in manifest.splits} == {
        "train": 3, "val": 2,
    }  # fmt: skip
    for split in manifest.splits:
        before, after = (list(read_pairs(tmp_path / name, split)) for name in ("once", "twice"))
        assert [pair.captions for pair in before] == [pair.captions for pair in after]
        assert all(
            x.image.tobytes() == y.image.tobytes() for x, y in zip(before, after, strict=True)
        )


def test_several_sources_are_counted_apart(tmp_path):
    coco = write_coco(tmp_path / "coco")
    table = write_table(tmp_path / "table", 3)
    manifest = prepare([coco, table], tmp_path / "out").manifest
    counts = [(s.name, s.format, s.seen, s.kept, s.captions) for s in manifest.sources]
    assert counts == [(str(coco), "coco", 2, 1, 1), (str(table), "tsv", 3, 3, 6)]
    assert manifest.sources[0].failed["missing image"].examples == ("9.jpg",)
    assert manifest.sources[1].failed == {}
    assert load_manifest(tmp_path / "out") == manifest


def test_a_format_that_a_document_has_not(tmp_path):
    path = write_coco(tmp_path)
    with pytest.raises(DataError, match="has not the form of redcaps"):
        read(path, "redcaps")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        open_source(tmp_path / "x.json", Reading())


def test_coco_for_real(tmp_path):
    source = shared("data", "coco_mini_dev")
    manifest = prepare([source / "captions_train2017.json"], tmp_path / "out").manifest
    (entry,) = manifest.sources
    assert (entry.format, entry.seen, entry.kept, entry.captions) == ("coco", 40, 40, 200)
    assert all(min(pair.image.size) <= 256 for pair in read_pairs(tmp_path / "out", "train"))
