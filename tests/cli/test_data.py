"""`pgseg data` as typed: prepare in parts, merge, verify, stats; and what each says."""

import json

import pytest
from PIL import Image

from tests.data.conftest import write_table
from tests.data.web import serve


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "in", 12)
    (tmp_path / "in" / "images" / "0007.jpg").write_bytes(b"damaged")
    return "in/captions.tsv"


def test_parts_on_two_machines_joined_verified_and_looked_at(pgseg, table, tmp_path):
    for part in (1, 2):
        result = pgseg(
            f"data prepare {table} --part {part}/2 --out out/{part} --samples-per-shard 4"
        )
        assert result.code == 0, result.err
        assert f"pgseg data merge out/{part}" in result.words
    merged = pgseg("data merge out/1 out/2 --out out --json")
    assert merged.code == 0, merged.err
    assert json.loads(merged.out) == json.loads((tmp_path / "out/manifest.json").read_text())
    assert "every image of 12 is in one of them" in merged.words
    assert "unreadable image" in merged.words
    verified = pgseg("data verify out --all")
    assert verified.code == 0, verified.err
    assert "11 samples with 22 captions, 11 images decoded" in verified.words
    stats = pgseg("data stats out --samples 5 --json")
    assert stats.code == 0, stats.err
    values = json.loads(stats.out)
    assert values["images"] == 11
    assert values["nouns"]["dog"] == 1
    with Image.open(tmp_path / values["picture"]) as sheet:
        assert sheet.width > sheet.height > 200


def test_a_damaged_shard_is_named_and_the_exit_code_tells(pgseg, table, tmp_path):
    assert pgseg(f"data prepare {table} --out out").code == 0
    shard = tmp_path / "out" / "train-00000.tar"
    shard.write_bytes(shard.read_bytes().replace(b'"captions"', b'"kaptions"', 1))
    result = pgseg("data verify out")
    assert result.code == 2
    assert "2 problems" in result.words
    assert "SHA-256" in result.words
    assert "000000000 has no caption" in result.words


def test_without_out_the_shards_lie_beside_what_they_are_of(pgseg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "data" / "photos", 2)
    assert pgseg("data prepare data/photos/captions.tsv").code == 0
    assert (tmp_path / "data/captions/manifest.json").exists()
    assert pgseg("data prepare data/photos").code == 0
    assert (tmp_path / "data/photos-shards/manifest.json").exists()


def test_a_list_of_links(pgseg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with serve() as server:
        paths = ["good/1.jpg", "status/404", "html", "good/2.jpg", "status/404"]
        lines = [f"{server.url(path)}\tcaption {n}" for n, path in enumerate(paths)]
        (tmp_path / "cc12m.tsv").write_text("\n".join(lines))
        result = pgseg("data prepare cc12m.tsv --connections 4 --per-host 2 --retries 0 --json")
    assert result.code == 0, result.err
    (source,) = json.loads(result.out)["sources"]
    assert (source["format"], source["rows"]) == ("tsv", 5)
    assert (source["seen"], source["kept"]) == (4, 2), "two rows are about one address"
    assert {reason: left["count"] for reason, left in source["failed"].items()} == {
        "HTTP 404": 1,
        "a web page, no image": 1,
    }
    assert "HTTP 404" in result.words
    again = pgseg("data prepare cc12m.tsv")
    assert "holds this very preparation already" in again.words
