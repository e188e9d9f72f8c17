"""Preparations that are killed, out of disk, or disturbed: run again, they end as if never stopped.

The processes are forked and really killed; what they leave on the disk is all that is gone on from.
"""

import json
import multiprocessing
import os
import random
import resource
import signal
import time

import pytest

from pgseg_core.data.manifest import JOURNAL_NAME, UNFINISHED_NAME, load_manifest
from pgseg_core.data.prepare import build
from pgseg_core.data.prepare.build import prepare
from pgseg_core.data.prepare.options import Filters, PrepareOptions
from pgseg_core.data.shards import ShardReader
from pgseg_core.errors import DataError
from tests.data.conftest import jpeg, png, random_image

OPTIONS = PrepareOptions(samples_per_shard=3, threads=2, filters=Filters(duplicates="exact"))
ROWS = 60


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Images of three splits in turn, with some of every kind of failure and duplicates."""
    folder = tmp_path_factory.mktemp("source")
    lines = ["image\tsplit\tcaption"]
    for number in range(ROWS):
        content = jpeg(random_image(number - 7 if number % 10 == 9 else number))
        if number % 11 == 5:
            content = content[:200]
        if number % 13 != 6:
            (folder / f"{number}.jpg").write_bytes(content)
        split = "train" if number % 4 else "val" if number % 8 else "test"
        lines.append(f"{number}.jpg\t{split}\t" + ("" if number % 17 == 3 else f"caption {number}"))
    (folder / "t.tsv").write_text("\n".join(lines) + "\n")
    return folder / "t.tsv"


@pytest.fixture(scope="module")
def clean(table, tmp_path_factory):
    """What a preparation that nobody stops ends with."""
    out = tmp_path_factory.mktemp("clean") / "out"
    prepare([table], out, OPTIONS)
    return out


def results(folder):
    names = {path.name for path in folder.iterdir()} - {JOURNAL_NAME}
    return {name: (folder / name).read_bytes() for name in names}


def slowly(_):
    time.sleep(0.004)


def in_a_process(target):
    process = multiprocessing.get_context("fork").Process(target=target)
    process.start()
    return process


def finished(out):
    """The shards that are recorded as whole, with what tells whether they were written again."""
    record = out / UNFINISHED_NAME
    entries = [json.loads(line) for line in record.read_text().splitlines()[1:] if line[-1] == "}"]
    names = [entry["shard"] for entry in entries if "shard" in entry]
    return {name: (out / name).stat().st_ino for name in names}


def test_killed_at_random_moments(table, clean, tmp_path):
    out = tmp_path / "out"
    moments = random.Random(3)
    kills = 0
    done: dict[str, int] = {}
    while kills < 40:
        process = in_a_process(lambda: prepare([table], out, OPTIONS, slowly))
        process.join(timeout=moments.uniform(0.01, 0.15))
        if process.exitcode is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
        if (out / UNFINISHED_NAME).exists():
            now = finished(out)
            assert done.items() <= now.items(), "a finished shard was lost or made again"
            done = now
    prepare([table], out, OPTIONS)
    assert kills >= 2
    assert results(out) == results(clean)


def test_every_row_is_in_one_place(table, clean):
    manifest = load_manifest(clean)
    (source,) = manifest.sources
    assert source.seen == ROWS
    assert {"missing image", "unreadable image", "no caption", "duplicate, same file"} == {
        *source.failed
    }
    keys = []
    for shard in manifest.shards:
        with ShardReader(clean / shard.name) as reader:
            keys += reader.index.keys
    left = [json.loads(line) for line in (clean / JOURNAL_NAME).read_text().splitlines()[1:]]
    rows = [entry["row"] for entry in left if "left_out" in entry] + [int(key) for key in keys]
    assert sorted(rows) == list(range(ROWS))


@pytest.mark.parametrize("limit", [400, 2000, 9000])
def test_a_full_disk(table, clean, tmp_path, limit):
    """No file may grow beyond the limit: the record, the first shard, or neither gets far."""
    out = tmp_path / "out"
    said = tmp_path / "said"

    def run():
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            prepare([table], out, OPTIONS)
        except DataError as error:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            said.write_text(str(error))

    in_a_process(run).join()
    assert "cannot be written" in said.read_text()
    prepare([table], out, OPTIONS)
    assert results(out) == results(clean)


def test_a_record_cut_anywhere_is_gone_on_from(table, clean, tmp_path):
    """As after a loss of power: the record ends in the middle of a line, shards are ahead of it."""
    whole = (clean / JOURNAL_NAME).read_bytes()
    for cut in (len(whole) - 3, len(whole) // 2, len(whole) // 3, whole.index(b"\n") + 1):
        out = tmp_path / str(cut)
        out.mkdir()
        for name, content in results(clean).items():
            (out / name).write_bytes(content)
        (out / UNFINISHED_NAME).write_bytes(whole[:cut])
        prepare([table], out, OPTIONS)
        assert results(out) == results(clean)


def test_two_at_once_in_one_folder(table, tmp_path):
    out = tmp_path / "out"
    process = in_a_process(lambda: prepare([table], out, OPTIONS, lambda _: time.sleep(5)))
    while not (out / UNFINISHED_NAME).exists():
        time.sleep(0.01)
    with pytest.raises(DataError, match="another pgseg is preparing data"):
        prepare([table], out, OPTIONS)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    prepare([table], out, OPTIONS)


def test_other_options_do_not_throw_away_what_was_done(table, tmp_path):
    out = tmp_path / "out"

    def stop(now):
        if now.done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([table], out, OPTIONS, stop)
    with pytest.raises(DataError, match=r"unfinished preparation .*short_side 256, now 64") as told:
        prepare([table], out, PrepareOptions(samples_per_shard=3, short_side=64))
    assert "--overwrite" in told.value.hint
    assert (out / "train-00000.tar").exists()
    other = PrepareOptions(samples_per_shard=3, overwrite=True)
    assert not prepare([table], out, other).resumed


def test_sources_that_change_while_they_are_read(tmp_path, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.png").write_bytes(png(random_image(ord(name))))
    table = folder / "t.tsv"
    table.write_text("image\tcaption\n" + "".join(f"{name}.png\t{name}\n" for name in "abc"))
    whole = table.read_text()

    taken = build.survey

    def survey(read, on_lines):
        found = taken(read, on_lines)
        table.write_text(whole.replace("c.png\tc\n", ""))
        return found

    monkeypatch.setattr(build, "survey", survey)
    with pytest.raises(DataError, match="changed while they were read: 3 images, then 2"):
        prepare([table], tmp_path / "out", OPTIONS)
