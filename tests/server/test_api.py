"""The JSON API over real HTTP: the same pixels as from Python, limits, and who may call."""

import http.client
import io
import json
import re
import socket
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from pgseg_cli.server import app
from pgseg_cli.server.answers import FIELDS, run_lengths
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.viz.palette import class_colours
from tests.figures.conftest import make_photo
from tests.patience import PATIENCE
from tests.server.conftest import LIMITS, serving

BOUNDARY = "a-line-that-is-in-no-photo"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def values(self) -> dict:
        return json.loads(self.body)


def multipart(fields: Mapping[str, str], image: bytes | None, name: str = "photo.png") -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    if image is not None:
        head = f'Content-Disposition: form-data; name="image"; filename="{name}"'
        parts.append(f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + image + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def call(
    server: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    chunked: bool = False,
) -> Reply:
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=PATIENCE)
    sent = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **(headers or {})}
    method = "GET" if body is None else "POST"
    pieces = [body[i : i + 65536] for i in range(0, len(body), 65536)] if chunked and body else body
    connection.request(method, path, pieces, sent, encode_chunked=chunked)
    reply = connection.getresponse()
    found = Reply(reply.status, dict(reply.getheaders()), reply.read())
    connection.close()
    return found


def ask(server: str, image: bytes | None, path: str = "/api/segment", **fields: str) -> Reply:
    return call(server, path, multipart({"classes": "sky,road", **fields}, image))


def as_png(photo: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, kind, **options)
    return buffer.getvalue()


PHOTO = make_photo(70, 45)
FORM = "multipart/form-data"


def test_the_same_pixels_as_from_python(server: str, segmenter: Segmenter) -> None:
    fields = {"background": "on", "threshold": "0.3", "flip": "1", "refine": "pamr"}
    expected = segmenter.segment(
        PHOTO, ["sky", "road"], background=True, threshold=0.3, flip=True, refine="pamr"
    )
    mask = ask(server, as_png(PHOTO), "/api/mask", **fields)
    assert mask.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(mask.body)) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), expected.labels)
        palette = image.getpalette() or []
    values = ask(server, as_png(PHOTO), **fields).values
    assert [entry["pixels"] for entry in values["classes"]] == list(expected.pixels)
    assert [entry["name"] for entry in values["classes"]] == ["background", "sky", "road"]
    for entry, colour in zip(values["classes"], class_colours(3, background=True), strict=True):
        assert entry["colour"] == "#{:02x}{:02x}{:02x}".format(*colour.tolist())
        assert palette[3 * entry["index"] : 3 * entry["index"] + 3] == colour.tolist()


def test_what_the_page_draws(server: str, segmenter: Segmenter) -> None:
    values = ask(server, as_png(PHOTO), page="1").values
    shown = values["shown"]
    runs = np.array(shown["labels"]).reshape(-1, 2)
    labels = np.repeat(runs[:, 0], runs[:, 1]).reshape(shown["height"], shown["width"])
    expected = segmenter.segment(PHOTO, ["sky", "road"]).labels
    np.testing.assert_array_equal(labels, expected)
    assert values["mask"].startswith("data:image/png;base64,")
    stages = call(server, "/api/groups", multipart({}, as_png(PHOTO))).values["stages"]
    assert [stage["num_groups"] for stage in stages] == [6, 4]
    for stage in stages:
        assert len(stage["labels"]) == stage["rows"] * stage["columns"]
        assert sum(group["share"] for group in stage["groups"]) == pytest.approx(1, abs=1e-5)


def test_run_lengths_by_loops() -> None:
    labels = np.array([[3, 3, 0], [0, 0, 1]])
    assert run_lengths(labels) == [3, 2, 0, 3, 1, 1]


def test_a_turned_photo_is_upright_and_an_overlay_comes(server: str) -> None:
    exif = PHOTO.getexif()
    exif[0x0112] = 6
    values = ask(server, as_png(PHOTO, "JPEG", exif=exif)).values
    assert (values["width"], values["height"]) == (45, 70)
    overlay = ask(server, as_png(PHOTO), "/api/overlay")
    with Image.open(io.BytesIO(overlay.body)) as image:
        assert image.height > PHOTO.height


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims to be large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("image", "fields", "part"),
    [
        (None, {}, "no photo came"),
        (b"", {}, "not an image that can be read (empty"),
        (b"not a photo", {}, "not an image"),
        (as_png(PHOTO)[:300], {}, "not an image"),
        (bomb(3_000, 3_000), {}, "3000 x 3000 pixels, and this server takes 4 million"),
        (bomb(50_000, 50_000), {}, "claims more than 300 million pixels"),
        (as_png(PHOTO), {"classes": ""}, "the class list is empty"),
        (as_png(PHOTO), {"classes": "sky,,road"}, "empty name"),
        (as_png(PHOTO), {"classes": "@/etc/passwd"}, "a class file cannot be named here"),
        (as_png(PHOTO), {"classes": "x" * 9000}, "9000 characters"),
        (as_png(PHOTO), {"classes": "coco-object"}, "80 classes, and this server takes 20"),
        (as_png(PHOTO), {"templates": "/etc/passwd"}, "no templates called '/etc/passwd'"),
        (as_png(PHOTO), {"threshold": "much"}, "threshold: 'much' is no number"),
        (as_png(PHOTO), {"threshold": "nan"}, "threshold: 'nan' is no number"),
        (as_png(PHOTO), {"threshold": "2"}, "threshold 2"),
        (as_png(PHOTO), {"top_k": "0"}, "top-k 0"),
        (as_png(PHOTO), {"refine": "magic"}, "no refinement called 'magic'"),
        (as_png(PHOTO), {"backgroud": "on"}, "there is no field 'backgroud'"),
        (as_png(PHOTO), {"size": "1"}, "size 1 is out of range"),
        (as_png(PHOTO, "EPS"), {}, "not an image that can be read"),
        (bomb(2_000_000, 1), {}, "2000000 x 1 pixels, and the longest side that is read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_in_one_sentence(
    server: str, image: bytes | None, fields: dict[str, str], part: str
) -> None:
    reply = ask(server, image, **fields)
    assert reply.status == 422
    assert part in reply.values["error"]


@pytest.mark.parametrize("chunked", [False, True])
def test_long_uploads_are_refused_as_they_come(server: str, *, chunked: bool) -> None:
    body = multipart({"classes": "sky"}, bytes(2**20 + 1))
    try:
        reply = call(server, "/api/segment", body, chunked=chunked)
    except (BrokenPipeError, ConnectionResetError):
        return  # hung up on while still sending: refused all the same
    assert reply.status == 413
    assert reply.values["error"] == "the upload is larger than 1 MiB"


def test_other_sites_and_names_are_not_answered(server: str) -> None:
    body = multipart({"classes": "sky"}, as_png(PHOTO))
    for origin in ("https://elsewhere.example", "http://[::1", "null", "http://"):
        foreign = call(server, "/api/segment", body, {"Origin": origin})
        assert foreign.status == 403, origin
        assert "--allow-host" in foreign.values["hint"]
    misnamed = call(server, "/", headers={"Host": "elsewhere.example"})
    assert misnamed.status == 400
    assert "--allow-host elsewhere.example" in misnamed.values["hint"]
    own = server.rstrip("/")
    assert call(server, "/api/segment", body, {"Origin": own}).status == 200
    page = call(server, "/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert call(server, "/page/../app.py").status == 404
    assert call(server, "/page/%2e%2e/app.py").status == 404


def test_nothing_on_the_page_comes_from_elsewhere(server: str) -> None:
    for path in ("/", "/page/page.js", "/page/page.css"):
        text = call(server, path).body.decode("utf-8")
        assert "https://" not in text
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")


def test_calls_wait_for_each_other_and_too_many_are_turned_away(
    server: str, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call holds the model; three wait (LIMITS); the others get 503 at once."""
    entered, leave = threading.Event(), threading.Event()
    inside: list[int] = []
    stream = segmenter.stream

    def slow(*arguments: object, **options: object) -> object:
        inside.append(1)
        assert len(inside) == 1, "two calls in the model at once"
        entered.set()
        assert leave.wait(PATIENCE)
        answer = list(stream(*arguments, **options))
        inside.pop()
        return iter(answer)

    monkeypatch.setattr(segmenter, "stream", slow)
    replies: list[Reply] = []
    lock = threading.Lock()

    def one() -> None:
        reply = ask(server, as_png(PHOTO))
        with lock:
            replies.append(reply)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert entered.wait(PATIENCE)
    for _ in range(36000):
        if len(replies) == 4:
            break
        threading.Event().wait(0.05)
    assert [reply.status for reply in replies] == [503] * 4
    assert replies[0].headers["retry-after"] == "5"
    leave.set()
    for thread in threads:
        thread.join(PATIENCE)
    good = [reply for reply in replies if reply.status == 200]
    assert len(good) == 4
    assert len({reply.body for reply in good}) == 1


def test_a_port_that_is_taken_is_named(server: str) -> None:
    from pgseg_cli.server.run import open_port
    from pgseg_core.errors import ConfigError

    port = urlsplit(server).port
    assert port is not None
    with pytest.raises(ConfigError, match=rf"cannot listen on 127\.0\.0\.1, port {port}"):
        open_port("127.0.0.1", port)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (("GET", "/api/none"), (404, "nothing at /api/none", "/api/model")),
        (("GET", "/api/segmant"), (404, "nothing at", "Did you mean /api/segment?")),
        (("GET", "/page/none.js"), (404, "nothing at /page/none.js", "Addresses")),
        (("GET", "/api/mask"), (405, "/api/mask does not take GET", "Send POST")),
        (("POST", "/api/model", b""), (405, "/api/model does not take POST", "Send GET")),
        (("POST", "/api/mask", b"{}", "application/json"), (415, "not a form", "multipart")),
        (("POST", "/api/mask", b"abc", FORM), (400, "cannot be read", "curl")),
        (("POST", "/api/mask", b"abc", f"{FORM}; boundary=x"), (400, "cannot be read", "curl")),
        (("BREW", "/"), (405, "/ does not take BREW", "Send GET")),
    ],
)
def test_what_the_framework_refuses_is_refused_in_our_words(server, asked, answered) -> None:
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=PATIENCE)
    method, path, body, kind = (*asked, None, None)[:4]
    status, error, hint = answered
    connection.request(method, path, body, {"Content-Type": kind} if kind else {})
    reply = connection.getresponse()
    values = json.loads(reply.read())
    assert reply.status == status, values
    assert error in values["error"]
    assert hint in values["hint"]
    assert reply.getheader("X-Content-Type-Options") == "nosniff"
    assert "default-src 'self'" in reply.getheader("Content-Security-Policy", "")
    connection.close()


def test_two_photos_and_hints_in_the_words_of_the_api(server: str) -> None:
    image = as_png(PHOTO)
    twice = multipart({"classes": "sky"}, image).removesuffix(f"--{BOUNDARY}--\r\n".encode())
    reply = call(server, "/api/segment", twice + multipart({}, image))
    assert (reply.status, reply.values["error"]) == (400, "more than one photo came")
    assert ask(server, image, classes="").values["hint"].startswith("Send the field classes")
    wrong = ask(server, image, backgroud="on")
    assert "Did you mean background?" in wrong.values["hint"]


def test_background_words_are_words_and_never_a_file(server: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("first\nsecond\n")
    for text in (str(secret), f"@{secret}"):
        reply = ask(server, as_png(PHOTO), background="on", background_words=text)
        assert b"second" not in reply.body
    given = ask(server, as_png(PHOTO), background="on", threshold="0", background_words="wall,sea")
    assert given.status == 200


def test_below_a_proxys_path_and_under_its_name(segmenter: Segmenter) -> None:
    with serving(segmenter, names=["lab.example.org"], root_path="/pgseg/") as server:
        own = {"Host": "lab.example.org", "Origin": "https://lab.example.org"}
        page = call(server, "/pgseg/", headers=own).body.decode()
        links = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert links
        for link in links:
            assert not link.startswith("/")
            assert call(server, f"/pgseg/{link}", headers=own).status == 200
        body = multipart({"classes": "sky"}, as_png(PHOTO))
        assert call(server, "/pgseg/api/segment", body, own).status == 200
        assert call(server, "/pgseg/api/none", headers=own).status == 404
        script = call(server, "/pgseg/page/page.js", headers=own).body.decode()
        assert 'fetch("/' not in script


def test_a_request_that_does_not_come_ends_and_makes_room(segmenter: Segmenter) -> None:
    """Heads and bodies that stay away are closed; a good call is answered beside many of them."""
    limits = replace(LIMITS, connections=6, head_seconds=0.3, body_seconds=0.3)
    with serving(segmenter, limits=limits) as server:
        place = urlsplit(server)
        silent = [socket.create_connection((place.hostname, place.port)) for _ in range(20)]
        for number, one in enumerate(silent):
            with suppress(OSError):  # given up already
                one.sendall(b"GET /api/model HTTP/1.1\r\nHost:" if number % 2 else b"")
        assert call(server, "/api/model").status == 200
        for one in silent:
            one.settimeout(PATIENCE)
            with suppress(OSError):
                assert b"did not come in time" in read_all(one)
            one.close()
        half = socket.create_connection((place.hostname, place.port))
        half.sendall(
            b"POST /api/mask HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x"
        )
        half.settimeout(PATIENCE)
        answer = half.recv(65536)
        assert b"408" in answer.splitlines()[0]
        assert b"did not come in time" in answer + read_all(half)
        half.close()


def read_all(connection: socket.socket) -> bytes:
    found = b""
    while piece := connection.recv(65536):
        found += piece
    return found


def test_what_is_no_http_is_refused_in_json(server: str) -> None:
    place = urlsplit(server)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        connection.settimeout(PATIENCE)
        assert b'"error": "this is not a request in HTTP"' in read_all(connection)


def test_photos_are_decoded_one_after_the_other_in_the_line(
    segmenter: Segmenter, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, most = 0, 0
    lock = threading.Lock()
    decode = app.decode_photo

    def counted(*given: object) -> Image.Image:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.05)
        try:
            return decode(*given)
        finally:
            with lock:
                inside -= 1

    monkeypatch.setattr(app, "decode_photo", counted)
    threads = [threading.Thread(target=ask, args=(server, as_png(PHOTO))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert most == 1


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    names=st.lists(st.sampled_from([*FIELDS, "x", "", "class\0es"]), max_size=4),
    values=st.lists(st.text(max_size=12), min_size=4, max_size=4),
    image=st.sampled_from([as_png(PHOTO), as_png(PHOTO)[:200], b"", b"GIF89a"]),
    cut=st.integers(0, 400),
)
def test_any_form_is_answered_in_json(api, names, values, image, cut) -> None:
    fields = dict(zip(names, values, strict=False))
    try:
        body = multipart(fields, image)
    except UnicodeEncodeError:
        return
    sent = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    reply = api.post("/api/segment", content=body[: len(body) - cut], headers=sent)
    assert reply.status_code in {200, 400, 422}
    assert set(reply.json()) >= ({"classes"} if reply.status_code == 200 else {"error", "hint"})


@pytest.fixture(scope="module")
def api(segmenter: Segmenter) -> Iterator[TestClient]:
    with TestClient(app.create_app(segmenter, LIMITS), raise_server_exceptions=True) as client:
        yield client
