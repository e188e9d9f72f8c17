"""A picture in the terminal: by the graphics protocol it speaks, else in half blocks of colour.

Nothing is shown where standard error is no terminal, or one without 16 million colours.
"""

import base64
import io
import os
import sys
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pgseg_cli.console import messages

if TYPE_CHECKING:
    from PIL import Image

Way = Literal["kitty", "iterm2", "sixel", "blocks"]

_CHUNK = 4096
_MOST_PIXELS = 800  # longer side of a picture sent whole
_SIXEL_TERMS = ("mlterm", "foot", "yaft", "contour", "sixel")


def preview_way(environment: Mapping[str, str]) -> Way | None:
    """Return how a terminal shows pictures, by the variables it sets; None where it cannot."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    inside = "TMUX" in environment or term.startswith(("screen", "tmux"))  # eats the protocols
    if not inside:
        if "kitty" in term or "KITTY_WINDOW_ID" in environment or program == "ghostty":
            return "kitty"
        if program in {"iTerm.app", "WezTerm", "mintty"} or (
            environment.get("LC_TERMINAL") == "iTerm2"
        ):
            return "iterm2"
        if any(name in term for name in _SIXEL_TERMS):
            return "sixel"
    return "blocks" if environment.get("COLORTERM") in {"truecolor", "24bit"} else None


def show_preview(picture: Path, *, wanted: bool) -> None:
    """Show a picture on standard error, if that is a terminal that can.

    Args:
        picture: An image file.
        wanted: Show it in half blocks where nothing is known of the terminal.
    """
    way = preview_way(os.environ) or ("blocks" if wanted else None)
    if not sys.stderr.isatty() or way is None or "NO_COLOR" in os.environ:
        return
    from PIL import Image

    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    if way == "blocks":
        text = half_blocks(image, columns=min(messages.width, 100), rows=messages.height - 4)
    else:
        image.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
        text = {"kitty": kitty, "iterm2": iterm2, "sixel": sixel}[way](image)
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def half_blocks(image: "Image.Image", *, columns: int, rows: int) -> str:
    """Draw an image with the upper half block: two pixels a character, each in its own colour."""
    scale = min(columns / image.width, 2 * max(rows, 4) / image.height)
    width = max(1, round(image.width * scale))
    height = max(2, 2 * round(image.height * scale / 2))
    small = image.resize((width, height))
    lines = []
    for top in range(0, height, 2):
        cells = []
        for column in range(width):
            above = _colour(small.getpixel((column, top)))
            below = _colour(small.getpixel((column, top + 1)))
            cells.append(f"\x1b[38;2;{above}m\x1b[48;2;{below}m\u2580")
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)


def kitty(image: "Image.Image") -> str:
    """Send a PNG by kitty's graphics protocol, in pieces."""
    data = _encoded(image)
    pieces = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    sent = []
    for number, piece in enumerate(pieces):
        more = int(number < len(pieces) - 1)
        keys = f"a=T,f=100,q=2,m={more}" if number == 0 else f"m={more}"
        sent.append(f"\x1b_G{keys};{piece}\x1b\\")
    return "".join(sent)


def iterm2(image: "Image.Image") -> str:
    """Send a PNG by iTerm2's inline image protocol."""
    data = _encoded(image)
    return f"\x1b]1337;File=inline=1;preserveAspectRatio=1:{data}\x07"


def sixel(image: "Image.Image") -> str:
    """Draw an image in sixels: six rows a band, one pass over a band for each of its colours."""
    small = image.quantize(128)
    palette = small.getpalette() or []
    width, height = small.size
    pixels = small.tobytes()
    parts = [f'\x1bPq"1;1;{width};{height}']
    for colour in range(len(palette) // 3):
        red, green, blue = (round(value / 2.55) for value in palette[3 * colour : 3 * colour + 3])
        parts.append(f"#{colour};2;{red};{green};{blue}")
    for top in range(0, height, 6):
        band = [pixels[row * width : (row + 1) * width] for row in range(top, min(top + 6, height))]
        for colour in sorted(set(b"".join(band))):
            bits = (
                sum((row[column] == colour) << at for at, row in enumerate(band))
                for column in range(width)
            )
            parts.append(f"#{colour}{_runs(chr(63 + value) for value in bits)}$")
        parts.append("-")
    return "".join([*parts, "\x1b\\"])


def _runs(letters: Iterable[str]) -> str:
    """Shorten sixels: `!12?` for twelve times the same."""
    counted = ((letter, len(list(same))) for letter, same in groupby(letters))
    return "".join(f"!{many}{letter}" if many > 3 else letter * many for letter, many in counted)


def _encoded(image: "Image.Image") -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _colour(pixel: object) -> str:
    assert isinstance(pixel, tuple), "an RGB image has three values a pixel"
    return ";".join(str(value) for value in pixel)
