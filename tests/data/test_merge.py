import json

import pytest

from pgseg_core.data.manifest import load_manifest
from pgseg_core.data.pairs import read_pairs
from pgseg_core.data.prepare.build import prepare
from pgseg_core.data.prepare.merge import merge
from pgseg_core.data.prepare.options import PrepareOptions
from pgseg_core.data.verify import verify
from pgseg_core.errors import DataError
from tests.data.conftest import jpeg, random_image, write_table


@pytest.fixture
def table(tmp_path):
    """17 images, the last the same file as the first, one damaged and one missing."""
    table = write_table(tmp_path / "in", 17)
    images = tmp_path / "in" / "images"
    (images / "0016.jpg").write_bytes(jpeg(random_image(0)))
    (images / "0003.jpg").write_bytes(b"damaged")
    (images / "0011.jpg").unlink()
    return table


def prepare_parts(table, out, of=3):
    for number in range(1, of + 1):
        options = PrepareOptions(samples_per_shard=2, part=(number, of))
        prepare([table], out / str(number), options)
    return [out / str(number) for number in range(1, of + 1)]


def test_parts_joined_are_the_whole(table, tmp_path):
    parts = prepare_parts(table, tmp_path / "parts")
    ranges = [load_manifest(part).part for part in parts]
    assert [(part.first, part.end) for part in ranges] == [(0, 5), (5, 11), (11, 17)]
    merged = merge(parts[::-1], tmp_path / "parts")
    whole = prepare([table], tmp_path / "whole", PrepareOptions(samples_per_shard=2)).manifest
    assert merged.manifest.sources == whole.sources
    assert merged.manifest.request == whole.request
    assert merged.repeated == 1
    assert load_manifest(tmp_path / "parts") == merged.manifest
    for name in ("parts", "whole"):
        assert verify(tmp_path / name, sample=None).problems == ()
    joined, once = (list(read_pairs(tmp_path / name, "train")) for name in ("parts", "whole"))
    assert [(pair.key, pair.captions) for pair in joined] == [(p.key, p.captions) for p in once]
    again = prepare([table], tmp_path / "parts", PrepareOptions(samples_per_shard=2))
    assert again.was_there


def test_parts_from_elsewhere_are_linked_in(table, tmp_path):
    parts = prepare_parts(table, tmp_path / "parts", of=2)
    manifest = merge(parts, tmp_path / "out").manifest
    assert {shard.name for shard in manifest.shards} == {
        path.name for path in (tmp_path / "out").glob("*.tar")
    }
    assert verify(tmp_path / "out").problems == ()
    assert merge(parts, tmp_path / "out").manifest == manifest


def test_more_parts_than_images(tmp_path):
    table = write_table(tmp_path / "in", 2)
    with pytest.raises(DataError, match="part 1 of 3 has no image"):
        prepare([table], tmp_path / "out", PrepareOptions(part=(1, 3)))


def test_a_part_is_no_place_for_another(table, tmp_path):
    prepare([table], tmp_path / "out", PrepareOptions(part=(1, 2)))
    with pytest.raises(DataError, match="part 1/2, now 2/2"):
        prepare([table], tmp_path / "out", PrepareOptions(part=(2, 2)))


def test_what_is_no_complete_set_of_parts_is_refused(table, tmp_path):
    first, second, third = prepare_parts(table, tmp_path / "parts")
    other = tmp_path / "other"
    prepare([table], other, PrepareOptions(samples_per_shard=3, part=(3, 3)))
    whole = tmp_path / "whole"
    prepare([table], whole)
    for folders, message in [
        ([first, third], "1 of 3 parts missing: 2/3"),
        ([first, second, second, third], "part 2 of 3 is given twice"),
        ([first, second, other], "parts of different preparations"),
        ([first, second, whole], "is no part of a preparation"),
        ([first, second, tmp_path / "none"], "not a prepared folder"),
    ]:
        with pytest.raises(DataError, match=message) as told:
            merge(folders, tmp_path / "out")
        assert told.value.hint
        assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="holds another preparation"):
        merge([first, second, third], whole)


def test_overlap_is_found_in_the_shards_and_not_only_in_the_manifests(table, tmp_path):
    first, second, _ = parts = prepare_parts(table, tmp_path / "parts")
    values = json.loads((second / "manifest.json").read_text())
    mine, theirs = (next(folder.glob("train-*-00000.tar")) for folder in (second, first))
    mine.write_bytes(theirs.read_bytes())
    values["splits"]["train"][0]["bytes"] = mine.stat().st_size
    (second / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match="image 000000000 belongs to another part"):
        merge(parts, tmp_path / "out")
    mine.unlink()
    with pytest.raises(DataError, match="is missing or not"):
        merge(parts, tmp_path / "out")
