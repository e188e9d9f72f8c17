import hashlib
import json
import tarfile
from collections import Counter

import pytest

from pgseg_core.data.manifest import UNFINISHED_NAME, load_manifest
from pgseg_core.data.pairs import read_pairs
from pgseg_core.data.prepare import workers
from pgseg_core.data.prepare.build import prepare
from pgseg_core.data.prepare.options import PrepareOptions
from pgseg_core.data.prepare.sources import Reading
from pgseg_core.errors import ConfigError, DataError
from tests.data.conftest import jpeg, png, random_image, write_table
from tests.shared_data import shared


def contents(folder):
    """All files but the journal, which also tells in how many goes they were made."""
    names = {path.name for path in folder.iterdir()} - {"journal.jsonl"}
    return {name: (folder / name).read_bytes() for name in names}


def test_shards_hold_what_the_table_said(tmp_path):
    table = write_table(tmp_path / "in", 5)
    out = tmp_path / "out"
    done = []
    result = prepare(
        [table],
        out,
        PrepareOptions(samples_per_shard=2),
        on_progress=lambda now: done.append((now.done, now.total, now.kept)),
    )
    assert not result.was_there
    assert sorted(contents(out)) == [
        "manifest.json",
        "train-00000.tar",
        "train-00001.tar",
        "train-00002.tar",
    ]
    assert done == [(number, 5, number) for number in range(1, 6)]
    pairs = list(read_pairs(out, "train"))
    assert [pair.captions[1] for pair in pairs] == [f"caption 1 of dog {n}" for n in range(5)]
    assert pairs[0].image.size == (48, 40)
    with tarfile.open(out / "train-00001.tar") as tar:
        names = tar.getnames()
        assert names == ["000000002.jpg", "000000002.json", "000000003.jpg", "000000003.json"]
        record = json.load(tar.extractfile("000000002.json"))
        original = (tmp_path / "in" / "images" / "0002.jpg").read_bytes()
        assert tar.extractfile("000000002.jpg").read() == original
    assert record == {
        "captions": list(pairs[2].captions),
        "image": "0002.jpg",
        "width": 48,
        "height": 40,
        "original_width": 48,
        "original_height": 40,
        "sha256": hashlib.sha256(original).hexdigest(),
    }


def test_the_manifest_says_what_there_is(tmp_path):
    table = write_table(tmp_path / "in", 3)
    manifest = prepare([table], tmp_path / "out", PrepareOptions(samples_per_shard=2)).manifest
    assert manifest == load_manifest(tmp_path / "out")
    assert (manifest.images_seen, manifest.images_kept, manifest.failed) == (3, 3, {})
    assert manifest.num_samples("train") == 3
    assert manifest.num_samples("val") == 0
    (source,) = manifest.sources
    assert (source.name, source.format) == (str(table), "tsv")
    assert (source.rows, source.seen, source.kept, source.captions) == (6, 3, 3, 6)
    images = [(tmp_path / "in" / "images" / f"{n:04d}.jpg").stat().st_size for n in range(3)]
    assert source.bytes == sum(images)
    for shard in manifest.splits["train"]:
        content = (tmp_path / "out" / shard.name).read_bytes()
        assert shard.bytes == len(content)
        assert shard.sha256 == hashlib.sha256(content).hexdigest()


def test_the_result_does_not_depend_on_threads_or_time(tmp_path):
    table = write_table(tmp_path / "in", 9)
    for name, threads in (("a", 1), ("b", 4)):
        options = PrepareOptions(samples_per_shard=4, threads=threads)
        prepare([table], tmp_path / name, options)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_bad_images_are_left_out_counted_and_named(tmp_path):
    table = write_table(tmp_path / "in", 30, captions=1)
    images = tmp_path / "in" / "images"
    (images / "0001.jpg").write_bytes(b"no image")
    (images / "0002.jpg").write_bytes((images / "0002.jpg").read_bytes()[:200])
    for number in range(3, 27):
        (images / f"{number:04d}.jpg").unlink()
    with table.open("a") as file:
        file.write("0030.jpg\ttrain\t  \n")
    manifest = prepare([table], tmp_path / "out").manifest
    assert (manifest.images_seen, manifest.images_kept) == (31, 4)
    assert manifest.failed == {"missing image": 24, "no caption": 1, "unreadable image": 2}
    failed = manifest.sources[0].failed
    assert failed["unreadable image"].examples == ("0001.jpg", "0002.jpg")
    assert len(failed["missing image"].examples) == 20
    assert len(list(read_pairs(tmp_path / "out", "train"))) == 4


def test_nothing_left_is_an_error_with_the_reasons(tmp_path):
    table = write_table(tmp_path / "in", 3)
    for image in (tmp_path / "in" / "images").iterdir():
        image.write_bytes(b"")
    with pytest.raises(
        DataError, match=r"none of the 3 images .*unreadable image: 3 \(such as 0000"
    ):
        prepare([table], tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_no_source_is_an_error(tmp_path):
    with pytest.raises(DataError, match="nothing to prepare"):
        prepare([], tmp_path / "out")


@pytest.mark.parametrize("name", ["short_side", "samples_per_shard", "threads"])
def test_options_out_of_range_are_refused(name):
    with pytest.raises(ConfigError, match=f"{name} is 0"):
        PrepareOptions(**{name: 0})


def test_several_sources_and_splits(tmp_path):
    first = write_table(tmp_path / "a", 3)
    second = write_table(tmp_path / "b", 2, split="val")
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "x.png").write_bytes(png(random_image(9)))
    (folder / "x.txt").write_text("A thing")
    manifest = prepare([first, second.parent, folder], tmp_path / "out").manifest
    assert {split: manifest.num_samples(split) for split in manifest.splits} == {
        "train": 4,
        "val": 2,
    }
    keys = [pair.key for split in manifest.splits for pair in read_pairs(tmp_path / "out", split)]
    assert len(set(keys)) == 6


def test_the_same_again_does_nothing(tmp_path, monkeypatch):
    table = write_table(tmp_path / "in", 3)
    first = prepare([table], tmp_path / "out")
    monkeypatch.setattr(workers, "examine_local", None)
    again = prepare([table], tmp_path / "out")
    assert again.was_there
    assert again.manifest == first.manifest


def test_something_else_asks_for_overwrite(tmp_path):
    table = write_table(tmp_path / "in", 7)
    prepare([table], tmp_path / "out", PrepareOptions(samples_per_shard=2))
    other = PrepareOptions(samples_per_shard=4)
    with pytest.raises(DataError, match="holds another preparation") as caught:
        prepare([table], tmp_path / "out", other)
    assert "--overwrite" in caught.value.hint
    prepare([table], tmp_path / "out", PrepareOptions(samples_per_shard=4, overwrite=True))
    assert sorted(contents(tmp_path / "out")) == [
        "manifest.json",
        "train-00000.tar",
        "train-00001.tar",
    ]


def test_a_changed_caption_or_image_is_something_else(tmp_path):
    table = write_table(tmp_path / "in", 3)
    prepare([table], tmp_path / "out")
    text = table.read_text()
    table.write_text(text.replace("dog 1", "cat 1"))
    with pytest.raises(DataError, match="another preparation"):
        prepare([table], tmp_path / "out")
    table.write_text(text)
    (tmp_path / "in" / "images" / "0000.jpg").write_bytes(jpeg(random_image(99, 64, 64)))
    with pytest.raises(DataError, match="another preparation"):
        prepare([table], tmp_path / "out")


def test_a_lost_shard_is_written_again(tmp_path):
    table = write_table(tmp_path / "in", 5)
    prepare([table], tmp_path / "out", PrepareOptions(samples_per_shard=2))
    before = contents(tmp_path / "out")
    (tmp_path / "out" / "train-00001.tar").unlink()
    assert not prepare([table], tmp_path / "out", PrepareOptions(samples_per_shard=2)).was_there
    assert contents(tmp_path / "out") == before


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    table = write_table(tmp_path / "in", 2)
    with pytest.raises(DataError, match="not written by pgseg"):
        prepare([table], tmp_path / "in" / "images")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.json").write_text('{"theirs": 1}')
    with pytest.raises(DataError, match="not a manifest of this pgseg"):
        prepare([table], tmp_path / "other", PrepareOptions(overwrite=True))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file"):
        prepare([table], tmp_path / "file")


def test_a_source_is_not_written_over(tmp_path):
    out = tmp_path / "out"
    prepare([write_table(tmp_path / "in", 2)], out)
    before = contents(out)
    for source in (out, out / "train-00000.tar"):
        with pytest.raises(DataError, match=r"lies in .*out, the folder to be written"):
            prepare([source], out, PrepareOptions(overwrite=True))
    assert contents(out) == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    table = write_table(tmp_path / "in", 2)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        prepare([table], tmp_path / "file" / "below")


def test_a_stopped_preparation_leaves_no_manifest_and_runs_again(tmp_path):
    table = write_table(tmp_path / "in", 9)
    out = tmp_path / "out"
    options = PrepareOptions(samples_per_shard=2)

    def stop(now):
        if now.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([table], out, options, on_progress=stop)
    assert not (out / "manifest.json").exists()
    assert (out / UNFINISHED_NAME).exists()
    with pytest.raises(DataError, match="was stopped before its end"):
        list(read_pairs(out, "train"))
    prepare([table], out, options)
    prepare([table], tmp_path / "clean", options)
    assert contents(out) == contents(tmp_path / "clean")


def test_a_stopped_overwrite_does_not_pass_for_the_old_preparation(tmp_path):
    table = write_table(tmp_path / "in", 4)
    prepare([table], tmp_path / "out")

    def stop(now):
        raise KeyboardInterrupt

    options = PrepareOptions(short_side=16, overwrite=True)
    with pytest.raises(KeyboardInterrupt):
        prepare([table], tmp_path / "out", options, on_progress=stop)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(DataError, match="No space left"):
        prepare([write_table(tmp_path / "in", 2)], tmp_path / "out")


def test_flickr8k_for_real(tmp_path):
    """Every tenth of its images; counted without any code of ours."""
    source = shared("data", "flickr8k")
    header, *lines = (source / "captions.tsv").read_text("utf-8").splitlines()
    names = sorted({line.split("\t")[0] for line in lines})[::10]
    chosen = [line for line in lines if line.split("\t")[0] in set(names)]
    (tmp_path / "tenth.tsv").write_text("\n".join([header, *chosen]), "utf-8")
    options = PrepareOptions(reading=Reading(images=source / "images"), samples_per_shard=200)
    manifest = prepare([tmp_path / "tenth.tsv"], tmp_path / "out", options).manifest
    splits = Counter(dict(line.split("\t")[:2] for line in chosen).values())
    assert {split: manifest.num_samples(split) for split in manifest.splits} == splits
    (entry,) = manifest.sources
    assert (entry.rows, entry.seen, entry.kept) == (len(chosen), len(names), len(names))
    assert entry.captions == len(chosen)
    assert entry.failed == {}
    assert entry.bytes == sum((source / "images" / name).stat().st_size for name in names)
