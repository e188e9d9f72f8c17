"""A sheet of photos with their captions below them: what a set of image-text pairs looks like."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from pgseg_core.atomic import whole_file
from pgseg_core.errors import DataError
from pgseg_core.viz.legend import one_line, shorten
from pgseg_core.viz.typeface import typeface

_PAPER = (255, 255, 255)
_INK = (32, 32, 32)
_QUIET = (112, 112, 112)
_LETTERS = 13  # pixels
_LINES = 4
_GAP = 14


def draw_samples(
    samples: Sequence[tuple[Image.Image, Sequence[str]]], *, columns: int = 6, side: int = 200
) -> Image.Image:
    """Draw photos in rows, each with its first caption and how many more it has.

    Args:
        samples: Photos with their captions; one at least.
        columns: Photos a row.
        side: Width and height in pixels that each photo is fitted into.
    """
    font = typeface(_LETTERS)
    line = round(1.35 * _LETTERS)
    columns = min(columns, len(samples))
    rows = -(-len(samples) // columns)
    cell = (side + _GAP, side + line * (_LINES + 1) + _GAP)
    sheet = Image.new("RGB", (columns * cell[0] + _GAP, rows * cell[1] + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (photo, captions) in enumerate(samples):
        left, top = _GAP + number % columns * cell[0], _GAP + number // columns * cell[1]
        small = ImageOps.contain(photo, (side, side), Image.Resampling.LANCZOS)
        sheet.paste(small, (left, top + side - small.height))
        for place, text in enumerate(_wrap(one_line(captions[0]), font, side)):
            draw.text((left, top + side + 4 + place * line), text, _INK, font)
        if len(captions) > 1:
            below = top + side + 4 + _LINES * line
            draw.text((left, below), f"+ {len(captions) - 1} more", _QUIET, font)
    return sheet


def save_samples(sheet: Image.Image, path: Path) -> None:
    """Write a sheet, whole or not at all, in the format that its path's suffix names.

    Raises:
        DataError: The format is unknown, or the file cannot be written.
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None:
        raise DataError(
            f"{path}: pictures cannot be written as '{path.suffix}'", hint="Use .png or .jpg."
        )
    try:
        with whole_file(path) as file:
            sheet.save(file, kind)
    except OSError as error:
        raise DataError(
            f"{path}: the picture cannot be written ({error})",
            hint="Give another path with --out.",
        ) from error


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break a text into lines of at most `width` pixels; the last one may be cut short."""
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < _LINES - 1:
        count = 1
        while count < len(words) and font.getlength(" ".join(words[: count + 1])) <= width:
            count += 1
        lines.append(shorten(" ".join(words[:count]), font, width))
        words = words[count:]
    return [*lines, shorten(" ".join(words), font, width)] if words else lines
