import gzip
import io
import json
import tarfile

import numpy as np
import pytest
from webdataset import TarWriter, WebDataset

from pgseg_core.data import tar_index
from pgseg_core.data.manifest import UNFINISHED_NAME
from pgseg_core.data.pairs import read_pairs
from pgseg_core.data.shards import ShardReader, find_shards
from pgseg_core.data.tar_index import index_shard, tar_members
from pgseg_core.errors import DataError
from tests.data.conftest import jpeg, random_image


def write_shard(path, samples):
    with path.open("wb") as file:
        writer = TarWriter(file, encoder=False, mtime=0)
        for sample in samples:
            writer.write(sample)
        writer.close()
    return path


def sample(number, **parts):
    return {"__key__": f"{number:05d}", "jpg": jpeg(random_image(number)), **parts}


def captions_of(path):
    with ShardReader(path) as reader:
        return [reader.read(position).captions for position in range(len(reader))]


def test_captions_from_every_convention(tmp_path):
    path = write_shard(
        tmp_path / "a.tar",
        [
            sample(0, json=b'{"captions": ["One", " Two "], "caption": "no"}'),
            sample(1, json=b'{"caption": "One", "url": "x", "status": "success"}', txt=b"no"),
            sample(2, txt=b" One\ntwo \n"),
            sample(3, json=b'{"url": "x"}', txt=b"One"),
            sample(4, json=b'{"caption": ["One", null, ""]}'),
        ],
    )
    assert captions_of(path) == [("One", "Two"), ("One",), ("One two",), ("One",), ("One",)]


def test_other_image_formats_and_members_that_are_no_samples(tmp_path):
    path = write_shard(
        tmp_path / "a.tar",
        [
            {"__key__": "a", "png": b"1", "txt": b"One"},
            {"__key__": "b", "webp": b"2", "txt": b"Two", "cls": b"7"},
            {"__key__": "no-image", "txt": b"x"},
            {"__key__": "no-text", "jpg": b"x"},
            {"__key__": "sub/c", "JPEG": b"3", "txt": b"Three"},
        ],
    )
    index = index_shard(path)
    assert index.keys == ("a", "b", "sub/c")
    with ShardReader(path) as reader:
        assert [reader.read(position).image for position in range(3)] == [b"1", b"2", b"3"]


def test_webdataset_sees_the_same_samples(prepared):
    pattern = str(prepared / "train-{00000..00007}.tar")
    theirs = {
        sample["__key__"]: (sample["jpg"], tuple(json.loads(sample["json"])["captions"]))
        for sample in WebDataset(pattern, shardshuffle=False)
    }
    ours = {}
    for shard in find_shards(prepared):
        with ShardReader(shard.path) as reader:
            for position in range(len(reader)):
                raw = reader.read(position)
                ours[raw.key] = (raw.image, raw.captions)
    assert ours == theirs
    assert len(ours) == 50


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_lie_where_tarfile_says(tmp_path, format):
    path = tmp_path / "a.tar"
    names = ["a.txt", "folder/b.txt", "long/" * 30 + "c.txt"]
    names += ["d" * (90 if format == tarfile.USTAR_FORMAT else 200) + ".txt", "é.txt"]
    with tarfile.open(path, "w", format=format) as tar:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for number, name in enumerate(names):
            entry = tarfile.TarInfo(name)
            entry.size = number * 300
            tar.addfile(entry, io.BytesIO(bytes([number]) * entry.size))
    with tarfile.open(path) as tar:
        expected = [(e.name, e.offset_data, e.size) for e in tar if e.isfile()]
    assert [(m.name, m.offset, m.size) for m in tar_members(path)] == expected


def test_plain_headers_are_read_without_tarfile(prepared, monkeypatch):
    monkeypatch.setattr(tar_index, "_any_members", None)
    assert len(index_shard(prepared / "train-00000.tar")) == 7


def test_webdatasets_own_headers_are_read_without_tarfile(tmp_path, monkeypatch):
    """Its writer puts the exact time before every member; img2dataset's shards are such."""
    with (tmp_path / "a.tar").open("wb") as file:
        writer = TarWriter(file, encoder=False)
        for number in range(3):
            writer.write(sample(number, txt=b"x" * 700 * number + b"y"))
        writer.close()
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert all("mtime" in entry.pax_headers for entry in tar)
        expected = [(e.name, e.offset_data, e.size) for e in tar if e.isfile()]
    monkeypatch.setattr(tar_index, "_any_members", None)
    assert [(m.name, m.offset, m.size) for m in tar_members(tmp_path / "a.tar")] == expected


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"x" * 2000, gzip.compress(b"x" * 5000, mtime=0)]
)
def test_what_is_no_tar_is_named(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tar is not a tar"):
        find_shards(tmp_path / "a.tar")


def test_a_tar_that_is_cut_off_is_named(tmp_path, prepared):
    content = (prepared / "train-00000.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(content[:1000])
    with pytest.raises(DataError, match=r"a\.tar is cut off inside 000000000\.jpg"):
        find_shards(tmp_path / "a.tar")


def test_a_tar_without_samples_is_named(tmp_path):
    write_shard(tmp_path / "a.tar", [{"__key__": "a", "cls": b"1"}])
    with pytest.raises(DataError, match="no sample in 1 shards"):
        find_shards(tmp_path / "a.tar")


def test_a_prepared_folder_by_split(prepared):
    shards = find_shards(prepared, "train")
    assert [shard.num_samples for shard in shards] == [7] * 7 + [1]
    assert [shard.path.name for shard in shards][:2] == ["train-00000.tar", "train-00001.tar"]
    with pytest.raises(DataError, match="no split 'val'") as caught:
        find_shards(prepared, "val")
    assert "It has: train" in caught.value.hint


def test_patterns_single_tars_and_plain_folders(prepared, tmp_path):
    assert len(find_shards(prepared / "train-00002.tar")) == 1
    shards = find_shards(f"{prepared}/train-{{00001..00003}}.tar", "anything")
    assert [shard.num_samples for shard in shards] == [7, 7, 7]
    for name in ("00000.tar", "00001.tar"):
        write_shard(tmp_path / name, [sample(0, txt=b"x")])
    assert len(find_shards(tmp_path, "train")) == 2
    with pytest.raises(DataError, match="no split 'val'"):
        find_shards(tmp_path, "val")
    write_shard(tmp_path / "val-0.tar", [sample(0, txt=b"x")])
    assert [shard.path.name for shard in find_shards(tmp_path, "val")] == ["val-0.tar"]


def test_missing_shards_are_counted_and_named(prepared):
    with pytest.raises(DataError, match=r"4 of 5 shards missing: .*train-00008.*and 1 more"):
        find_shards(f"{prepared}/train-{{00007..00011}}.tar")


@pytest.mark.parametrize("spec", ["", "  "])
def test_nothing_to_read_is_said(spec):
    with pytest.raises(DataError, match=r"data\.shards is empty"):
        find_shards(spec)


@pytest.mark.parametrize("spec", ["s3://bucket/a.tar", "https://x/{0..3}.tar", "pipe:cat a.tar"])
def test_addresses_are_refused(spec):
    with pytest.raises(DataError, match="local files only"):
        find_shards(spec)


def test_an_empty_folder_and_an_unfinished_one(tmp_path):
    with pytest.raises(DataError, match="no shards in"):
        find_shards(tmp_path)
    (tmp_path / UNFINISHED_NAME).touch()
    with pytest.raises(DataError, match="was stopped"):
        find_shards(tmp_path)


def test_a_prepared_folder_that_was_tampered_with(tmp_path, prepared):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(prepared, folder)
    victim = folder / "train-00003.tar"
    victim.chmod(0o644)
    victim.write_bytes(victim.read_bytes() + b"\0")
    with pytest.raises(DataError, match=r"train-00003\.tar has \d+ bytes"):
        find_shards(folder)
    victim.unlink()
    with pytest.raises(DataError, match=r"1 of 8 shards missing: .*train-00003\.tar"):
        find_shards(folder)
    (folder / "manifest.json").write_text('{"format": "pgseg-shards"}')
    with pytest.raises(DataError, match="damaged, or not a manifest"):
        find_shards(folder)


def test_counting_happens_once(prepared, monkeypatch):
    from pgseg_core.data import shards

    spec = prepared / "train-00004.tar"
    find_shards(spec)
    monkeypatch.setattr(shards, "index_shard", None)
    assert find_shards(spec)[0].num_samples == 7


def test_pairs_come_in_order_and_a_bad_one_is_an_error(tmp_path, prepared):
    pairs = list(read_pairs(prepared, "train"))
    assert [pair.captions[0] for pair in pairs] == [f"caption 0 of dog {n}" for n in range(50)]
    assert np.asarray(pairs[3].image).shape == (40, 48, 3)
    bad = sample(1, txt=b"x")
    bad["jpg"] = bad["jpg"][:150]
    path = write_shard(tmp_path / "a.tar", [sample(0, txt=b"x"), bad])
    with pytest.raises(DataError, match=r"a\.tar: 00001: not an image"):
        list(read_pairs(path, "test"))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"json": b"{broken"}, "text of 00000 is damaged"),
        ({"json": b"[1]"}, "00000 has no caption"),
        ({"json": b'{"caption": ""}'}, "00000 has no caption"),
        ({"txt": b"\xff\xfe"}, "text of 00000 is damaged"),
    ],
)
def test_a_damaged_text_is_named(tmp_path, parts, message):
    path = write_shard(tmp_path / "a.tar", [sample(0, **parts)])
    with ShardReader(path) as reader, pytest.raises(DataError, match=message):
        reader.read(0)
