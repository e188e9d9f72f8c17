from collections import Counter
from dataclasses import replace

import pytest

from pgseg_core.data.pairs import read_pairs
from pgseg_core.data.prepare import outage
from pgseg_core.data.prepare.build import prepare
from pgseg_core.data.prepare.options import Downloads, PrepareOptions
from pgseg_core.data.prepare.sniff import image_kind, other_kind
from pgseg_core.errors import ConfigError, DataError
from tests.data.web import serve
from tests.patience import PATIENCE


@pytest.fixture
def server():
    with serve() as server:
        yield server


def options(**downloads):
    quick = {"timeout": 5.0, "backoff": 0.01, "retries": 2, "max_bytes": 4_000_000}
    return PrepareOptions(samples_per_shard=4, downloads=Downloads(**quick | downloads))


def write_list(path, urls):
    """As CC3M is published: caption, tab, address, and no header."""
    path.write_text("".join(f"caption {n}\t{url}\n" for n, url in enumerate(urls)))
    return path


def test_every_fault_is_counted_under_its_name(server, tmp_path):
    faults = {
        "status/404": "HTTP 404", "status/410": "HTTP 410", "status/500": "HTTP 500",
        "html": "a web page, no image", "cut": "cut off",
        "stream": "larger than the cap", "huge": "larger than the cap", "empty": "empty answer",
        "moved/99": "too many redirects", "owned": "opted out by its owner", "as/pdf": "no image",
    }  # fmt: skip
    good = ["good/0.jpg", "flaky", "as/png", "as/webp", "as/avif", "moved/9", "good/1.jpg"]
    urls = [server.url(path) for path in [*faults, *good]]
    urls += ["http://127.0.0.1:1/a.jpg", "https://", "http://[::1/x.jpg"]
    table = write_list(tmp_path / "list.tsv", urls)
    manifest = prepare([table], tmp_path / "out", options(timeout=PATIENCE)).manifest
    (source,) = manifest.sources
    assert (source.seen, source.kept) == (len(urls), len(good))
    named = {server.url(path): reason for path, reason in faults.items()}
    named |= {
        "http://127.0.0.1:1/a.jpg": "no connection",
        "https://": "not a web address",
        "http://[::1/x.jpg": "not a web address",
    }
    told = {name: reason for reason, left in source.failed.items() for name in left.examples}
    assert told == named
    kept = [pair.captions[0] for pair in read_pairs(tmp_path / "out", "train")]
    assert kept == [f"caption {n}" for n in range(len(faults), len(faults) + len(good))]
    # What may be a matter of chance was tried again, and nothing else was.
    assert server.asked["/status/404"] == server.asked["/html"] == 1
    assert server.asked["/status/500"] == server.asked["/cut"] == server.asked["/flaky"] == 3
    assert server.asked["/moved/99"] == 1
    assert server.streamed < 200 << 20, "the 2 GB were not cut short"


def test_an_answer_that_takes_too_long_is_given_up(server, tmp_path):
    table = write_list(tmp_path / "list.tsv", [server.url("slow")])
    with pytest.raises(DataError, match="timed out: 1"):
        prepare([table], tmp_path / "out", options(timeout=0.2, retries=1))
    assert server.asked["/slow"] == 2


def test_few_at_a_time_from_one_host_and_in_the_name_given(server, tmp_path):
    table = write_list(tmp_path / "list.tsv", [server.url(f"good/{n}.jpg") for n in range(40)])
    polite = options(per_host=3, user_agent="polite/1.0")
    manifest = prepare([table], tmp_path / "out", polite).manifest
    assert manifest.images_kept == 40
    assert 1 < server.most_at_once <= 3
    assert server.agents == {"polite/1.0"}


def test_finished_shards_are_not_fetched_again(server, tmp_path):
    table = write_list(tmp_path / "list.tsv", [server.url(f"good/{n}.jpg") for n in range(30)])

    def stop(now):
        if now.done == 19:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([table], tmp_path / "out", options(connections=2), on_progress=stop)
    result = prepare([table], tmp_path / "out", options())
    assert result.resumed == 16
    assert {server.asked[f"/good/{n}.jpg"] for n in range(16)} == {1}
    assert result.manifest.images_kept == 30
    prepare([table], tmp_path / "clean", options())
    for path in (tmp_path / "clean").glob("*.tar"):
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()


def test_the_order_does_not_depend_on_who_answers_first(server, tmp_path):
    paths = ["flaky", *(f"good/{n}.jpg" for n in range(9))]
    table = write_list(tmp_path / "list.tsv", [server.url(path) for path in paths])
    prepare([table], tmp_path / "out", options(backoff=0.2))
    kept = [pair.captions[0] for pair in read_pairs(tmp_path / "out", "train")]
    assert kept == [f"caption {n}" for n in range(10)]


def test_an_outage_loses_no_image(server, tmp_path, monkeypatch):
    monkeypatch.setattr(outage, "MOST_UNANSWERED", 20)
    dead = "http://127.0.0.1:1"
    urls = [server.url(f"good/{n}.jpg") for n in range(5)]
    urls += [f"{dead}/{n}.jpg" for n in range(6)] + [server.url("status/404")]
    urls += [f"{dead}/later/{n}.jpg" for n in range(20)]
    table = write_list(tmp_path / "list.tsv", urls)
    with pytest.raises(DataError, match=r"network is down: the last 20 links .*later/19") as told:
        prepare([table], tmp_path / "out", options(retries=0))
    assert "again" in told.value.hint
    monkeypatch.setattr(outage, "MOST_UNANSWERED", 21)
    result = prepare([table], tmp_path / "out", options(retries=0))
    assert result.resumed == 4 + 6 + 1, "a shard, and what was surely dead"
    assert result.manifest.failed == {"no connection": 26, "HTTP 404": 1}


def test_what_failed_by_chance_is_asked_for_again_and_nothing_else(server, tmp_path):
    """Also when the second round is stopped, and once more when there is a third."""
    paths = [f"{'sometimes' if n % 3 == 1 else 'good'}/{n}.jpg" for n in range(24)]
    paths[5], paths[11] = "status/404", "status/503"
    table = write_list(tmp_path / "list.tsv", [server.url(path) for path in paths])
    out, again = tmp_path / "out", replace(options(retries=0), retry_failed=True)
    server.down = True
    first = prepare([table], out, options(retries=0)).manifest
    assert (first.failed, first.rounds) == ({"HTTP 404": 1, "HTTP 503": 9}, 1)
    before = {path.name: path.read_bytes() for path in out.glob("*.tar")}

    server.down = False

    def stop(now):
        if now.kept == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([table], out, again, on_progress=stop)
    assert not (out / "manifest.json").exists()
    result = prepare([table], out, options(retries=0))  # the plain command goes on with it too
    assert (result.retried, result.recovered) == (4, 4), "a shard of four was finished before"
    manifest = result.manifest
    assert (manifest.failed, manifest.rounds) == ({"HTTP 404": 1, "HTTP 503": 1}, 2)
    assert manifest.images_seen == 24
    assert {name: (out / name).read_bytes() for name in before} == before
    kept = sorted(int(pair.captions[0].split()[1]) for pair in read_pairs(out, "train"))
    assert kept == [n for n in range(24) if n not in (5, 11)], "each once"
    asked = server.asked.copy()
    third = prepare([table], out, again)
    assert (third.retried, third.recovered, third.manifest.rounds) == (1, 0, 3)
    assert server.asked - asked == Counter({"/status/503": 1})
    assert prepare([table], out, options(retries=0)).was_there
    lost = next(iter(before))
    (out / lost).unlink()
    with pytest.raises(DataError, match=f"{lost} is missing or not whole"):
        prepare([table], out, options(retries=0))


@pytest.mark.parametrize(
    ("head", "kind", "other"),
    [
        (b"\xff\xd8\xff\xe0", "jpeg", "no image"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "webp", "no image"),
        (b"\0\0\0\x1cftypavif", "avif", "no image"),
        (b"\xef\xbb\xbf\n <HTML>", None, "a web page, no image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", None, "no image"),
        (b'{"error": 404}', None, "no image"),
        (b"", None, "no image"),
    ],
)
def test_sniffing(head, kind, other):
    assert image_kind(head) == kind
    assert other_kind(head) == other


@pytest.mark.parametrize("values", [{"timeout": 0}, {"retries": -1}, {"per_host": 0}])
def test_downloads_out_of_range_are_refused(values):
    with pytest.raises(ConfigError, match=f"{next(iter(values))} is"):
        Downloads(**values)
