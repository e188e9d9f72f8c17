"""Pictures in the terminal: which way it speaks, and that what is sent is the picture."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from pgseg_cli.commands.segment import preview
from pgseg_cli.commands.segment.preview import (
    half_blocks,
    iterm2,
    kitty,
    preview_way,
    show_preview,
    sixel,
)

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))


def picture(width: int = 9, height: int = 14) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.array(COLOURS, np.uint8)[(rows // 4 + columns // 3) % 4])


@pytest.mark.parametrize(
    ("environment", "way"),
    [
        ({}, None),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "blocks"),
        ({"TERM": "xterm-kitty", "COLORTERM": "truecolor"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM_PROGRAM": "WezTerm", "COLORTERM": "truecolor"}, "iterm2"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1", "COLORTERM": "24bit"}, "blocks"),
    ],
)
def test_how_a_terminal_shows_pictures(environment, way):
    assert preview_way(environment) == way


def test_half_blocks_carry_two_pixels_each():
    text = half_blocks(picture(), columns=9, rows=50)
    lines = text.split("\n")
    pixels = np.asarray(picture())
    assert len(lines) == 7
    for number, line in enumerate(lines):
        cells = re.findall(r"\x1b\[38;2;(\d+);(\d+);(\d+)m\x1b\[48;2;(\d+);(\d+);(\d+)m▀", line)
        found = np.array(cells, dtype=int).reshape(9, 2, 3).swapaxes(0, 1)
        np.testing.assert_array_equal(found, pixels[2 * number : 2 * number + 2])
    assert len(half_blocks(picture(300, 100), columns=40, rows=50).split("\n")) == 7


def test_graphics_protocols_send_the_picture():
    large = Image.effect_noise((120, 90), 80).convert("RGB")
    sent = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", kitty(large))
    assert len(sent) > 1
    assert [keys[-3:] for keys, _ in sent] == [*["m=1"] * (len(sent) - 1), "m=0"]
    assert all(len(data) <= 4096 for _, data in sent)
    inline = iterm2(large)
    assert inline.startswith("\x1b]1337;File=inline=1")
    for data in ("".join(data for _, data in sent), inline.split(":", 1)[1].rstrip("\x07")):
        with Image.open(io.BytesIO(base64.b64decode(data))) as opened:
            np.testing.assert_array_equal(np.asarray(opened), np.asarray(large))


def test_sixels_draw_the_picture():
    body = sixel(picture())
    assert body.startswith('\x1bPq"1;1;9;14')
    palette = {
        int(number): tuple(round(int(value) * 2.55) for value in values)
        for number, *values in re.findall(r"#(\d+);2;(\d+);(\d+);(\d+)", body)
    }
    drawn = np.zeros((18, 9, 3), dtype=int)
    assert "!9" in sixel(Image.new("RGB", (9, 6)))
    body = re.sub(r"!(\d+)(.)", lambda found: int(found[1]) * found[2], body)
    bands = re.sub(r"#\d+;2;\d+;\d+;\d+", "", body.split("14", 1)[1]).split("-")[:-1]
    for top, band in enumerate(bands):
        for number, bits in re.findall(r"#(\d+)([?-~]*)\$", band):
            for column, letter in enumerate(bits):
                for row in range(6):
                    if (ord(letter) - 63) >> row & 1:
                        drawn[6 * top + row, column] = palette[int(number)]
    np.testing.assert_allclose(drawn[:14], np.asarray(picture()), atol=3)


def test_nothing_where_no_one_looks(tmp_path, capsys, monkeypatch):
    picture().save(tmp_path / "a.png")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("NO_COLOR", raising=False)
    show_preview(tmp_path / "a.png", wanted=True)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(preview.sys.stderr, "isatty", lambda: True)
    show_preview(tmp_path / "a.png", wanted=False)
    assert "▀" in capsys.readouterr().err
