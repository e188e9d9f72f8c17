"""Names beside colour chips, in columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from pgseg_core.viz.palette import RGB
from pgseg_core.viz.typeface import typeface

_INK: RGB = (32, 32, 32)
_QUIET: RGB = (112, 112, 112)
_PAPER: RGB = (255, 255, 255)
_MOST_ENTRIES = 48


@dataclass(frozen=True)
class LegendEntry:
    """One line of a legend."""

    name: str
    colour: RGB | None
    """Fill of the chip; None draws a hollow one."""
    share: float
    """Share of the picture, from 0 to 1."""


def one_line(name: str) -> str:
    """Return a name without line breaks or control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


def shorten(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Cut a text with an ellipsis so that it is at most `width` pixels wide."""
    if font.getlength(text) <= width:
        return text
    fitting, too_long = 0, len(text)  # characters kept
    while too_long - fitting > 1:
        middle = (fitting + too_long) // 2
        if font.getlength(text[:middle].rstrip() + "…") <= width:
            fitting = middle
        else:
            too_long = middle
    return text[:fitting].rstrip() + "…"


def percentage(share: float) -> str:
    """Write a share for readers: one digit, and never 0 or 100 for what is not."""
    if 0 < share < 0.001:
        return "<0.1 %"
    if 0.999 < share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %" if share < 0.9995 else "100 %"


def draw_legend(entries: Sequence[LegendEntry], width: int, size: int) -> Image.Image:
    """Draw a legend on white, in as many columns as fit.

    Beyond 48 entries the last line sums up the rest.

    Args:
        entries: What to name, in this order.
        width: Width of the picture in pixels; its height follows.
        size: Height of the letters in pixels. Long legends are set smaller.
    """
    entries = _folded(entries)
    if len(entries) > 12:
        size = max(min(size, 13), round(0.75 * size))
    font = typeface(size)
    margin, gap, line = size, round(0.5 * size), round(1.6 * size)
    widest_share = max((font.getlength(percentage(entry.share)) for entry in entries), default=0)
    around_name = size + 2 * gap + widest_share  # chip, gap, name, gap, share
    least_columns = 1 + (len(entries) > 6) + (len(entries) > 24)  # names give way for a low legend
    room = (width - 2 * margin + 2 * size) / least_columns - around_name - 2 * size
    room = min(max(room, 5 * size), 18 * size)
    lines = [one_line(entry.name) for entry in entries]
    fonts = [typeface(size, line) for line in lines]
    names = [shorten(line, own, room) for line, own in zip(lines, fonts, strict=True)]
    widths = [own.getlength(name) for name, own in zip(names, fonts, strict=True)]
    column = around_name + max(widths, default=0) + 2 * size
    num_columns = int(max(1, (width - 2 * margin + 2 * size) // column))
    num_columns = min(num_columns, max(1, len(entries)))
    num_rows = -(-len(entries) // num_columns)
    picture = Image.new("RGB", (width, num_rows * line + 2 * gap), _PAPER)
    draw = ImageDraw.Draw(picture)
    for index, (entry, name) in enumerate(zip(entries, names, strict=True)):
        left = margin + (index // num_rows) * column  # read down the columns
        middle = gap + (index % num_rows + 0.5) * line
        chip = (left, middle - size / 2, left + size, middle + size / 2)
        if entry.colour is None:
            draw.rounded_rectangle(chip, size / 5, outline=_QUIET, width=max(1, size // 14))
        else:
            draw.rounded_rectangle(chip, size / 5, fill=entry.colour)
        draw.text((left + size + gap, middle), name, _INK, fonts[index], anchor="lm")
        share_left = left + size + 2 * gap + widths[index]
        draw.text((share_left, middle), percentage(entry.share), _QUIET, font, anchor="lm")
    return picture


def _folded(entries: Sequence[LegendEntry]) -> list[LegendEntry]:
    if len(entries) <= _MOST_ENTRIES:
        return list(entries)
    shown, rest = entries[: _MOST_ENTRIES - 1], entries[_MOST_ENTRIES - 1 :]
    left_over = LegendEntry(f"{len(rest)} more", None, sum(entry.share for entry in rest))
    return [*shown, left_over]
