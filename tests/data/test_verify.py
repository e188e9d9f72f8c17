import json
import shutil

import pytest
from PIL import Image

from pgseg_core.data.manifest import UNFINISHED_NAME
from pgseg_core.data.stats import draw_pairs, measure
from pgseg_core.data.verify import verify
from pgseg_core.errors import DataError
from tests.data.conftest import jpeg, random_image
from tests.data.test_sources import write_tar


@pytest.fixture
def folder(prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "shards")
    return tmp_path / "shards"


def told(folder, **options):
    return [(problem.key, problem.what) for problem in verify(folder, **options).problems]


def test_a_good_folder(folder):
    found = verify(folder, sample=None)
    assert (found.shards, found.samples, found.captions, found.decoded) == (8, 50, 100, 50)
    assert found.hashed
    assert found.problems == ()
    assert 8 <= verify(folder, sample=10).decoded <= 16


def change(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def test_every_fault_of_a_folder_is_named(folder):
    shards = sorted(folder.glob("*.tar"))
    shards[0].unlink()
    shards[1].write_bytes(shards[1].read_bytes()[:-2000])
    change(shards[2], b'"captions"', b'"kaptions"')
    change(shards[3], b"\xff\xd9", b"\xff\xd8")
    values = json.loads((folder / "manifest.json").read_text())
    values["splits"]["train"][4]["samples"] = 6
    values["sources"][0]["kept"] = 49
    (folder / "manifest.json").write_text(json.dumps(values))
    shutil.copy(shards[5], folder / "extra-00000.tar")
    problems = verify(folder, sample=None).problems
    said = [(p.shard.rpartition("/")[2], p.key, p.what) for p in problems]
    assert ("train-00000.tar", "", "missing") in said
    assert any(s == "train-00001.tar" and "and the manifest says" in w for s, _, w in said)
    assert ("train-00002.tar", "000000014", "000000014 has no caption") in said
    changed = {s for s, _, what in said if what == "its content has changed (SHA-256)"}
    assert changed == {"train-00002.tar", "train-00003.tar"}
    assert ("train-00004.tar", "", "7 samples, and the manifest says 6") in said
    assert ("extra-00000.tar", "", "not in manifest.json") in said
    assert any("50 seen are not 49 kept + 0 failed" in what for _, _, what in said)


def test_damaged_images_are_found_where_they_are(folder):
    shard = folder / "train-00006.tar"
    content = shard.read_bytes()
    start = content.index(b"\xff\xd8\xff")
    shard.write_bytes(content[: start + 30] + bytes(300) + content[start + 330 :])
    problems = told(folder, sample=None)
    assert ("", "its content has changed (SHA-256)") in problems
    assert any(
        key == "000000042" and "not an image that can be read" in what for key, what in problems
    )


def test_shards_of_others(tmp_path):
    image = jpeg(random_image(0))
    write_tar(tmp_path / "0.tar", {"a.jpg": image, "a.txt": b"A", "b.jpg": image, "b.txt": b" "})
    write_tar(tmp_path / "1.tar", {"a.jpg": image, "a.txt": b"A", "c.jpg": b"x", "c.json": b"{"})
    found = verify(tmp_path, sample=None)
    assert (found.samples, found.hashed) == (4, False)
    assert {(problem.key, problem.what) for problem in found.problems} == {
        ("b", "b has no caption"),
        ("a", "the same key is in 0.tar"),
        *((p.key, p.what) for p in found.problems if p.key == "c" and "damaged" in p.what),
    }
    (tmp_path / "2.tar").write_bytes(b"no tar")
    assert any("not a tar" in what for _, what in told(tmp_path))


def test_what_cannot_be_verified(folder, tmp_path):
    (folder / "manifest.json").rename(folder / UNFINISHED_NAME)
    with pytest.raises(DataError, match="was stopped before its end"):
        verify(folder)
    with pytest.raises(DataError, match="1 of 1 shards missing"):
        verify(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there are no shards in"):
        verify(tmp_path / "empty")


def find_nouns(caption):
    return tuple(word for word in caption.split() if word == "dog")


def test_statistics_count_what_is_there(tmp_path):
    red = jpeg(Image.new("RGB", (30, 20), "red"))
    write_tar(
        tmp_path / "train-0.tar",
        {
            "a.jpg": red, "a.json": json.dumps({"captions": ["a dog", "a dog runs far"]}).encode(),
            "b.jpg": red, "b.txt": b"a red page",
            "c.jpg": jpeg(random_image(1, 90, 60)), "c.txt": b"a dog",
            "d.jpg": b"no image", "d.txt": b"lost",
        },
    )  # fmt: skip
    found = measure(tmp_path, find_nouns)
    assert (found.images, found.captions, found.unreadable) == (3, 4, 1)
    assert found.splits == {"train": 3}
    assert (found.width.smallest, found.width.median, found.width.largest) == (30, 30, 90)
    assert found.words.mean == pytest.approx((2 + 4 + 3 + 2) / 4)
    assert found.nouns == {"dog": pytest.approx(2 / 3)}
    assert found.without_noun == pytest.approx(1 / 3)
    assert (found.repeated_images, found.repeated_captions) == (1, 1)
    assert {pair.key for pair in draw_pairs(tmp_path, 10)} == {"a", "b", "c"}
    assert len(draw_pairs(tmp_path, 2, seed=1)) == 2
    write_tar(tmp_path / "train-0.tar", {"d.jpg": b"no image", "d.txt": b"lost"})
    with pytest.raises(DataError, match="no image-text pair that can be read"):
        measure(tmp_path, find_nouns)
