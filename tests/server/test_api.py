"""The JSON API over real HTTP: the same pixels as from Python, limits, and who may call."""

import http.client
import io
import json
import struct
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from pgseg_cli.server.answers import run_lengths
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.viz.palette import class_colours
from tests.figures.conftest import make_photo
from tests.patience import PATIENCE

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
    assert [stage["num_groups"] for stage in values["stages"]] == [6, 4]
    for stage in values["stages"]:
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
    foreign = call(server, "/api/segment", body, {"Origin": "https://elsewhere.example"})
    assert foreign.status == 403
    assert call(server, "/", headers={"Host": "elsewhere.example"}).status == 400
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
        assert leave.wait(60)
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
    assert entered.wait(60)
    for _ in range(600):
        if len(replies) == 4:
            break
        threading.Event().wait(0.05)
    assert [reply.status for reply in replies] == [503] * 4
    assert replies[0].headers["retry-after"] == "5"
    leave.set()
    for thread in threads:
        thread.join(60)
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
