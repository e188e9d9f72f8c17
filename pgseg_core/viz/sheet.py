"""A page of a paper, laid out in inches from its top left corner, and how it gets to disk.

Every figure is drawn at the width it is printed at, with letters of at least six points, so that
nothing has to be scaled on the way into a paper and everything can be read there.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pgseg_core.atomic import whole_file
from pgseg_core.errors import DataError
from pgseg_core.viz.legend import one_line, shorten
from pgseg_core.viz.palette import RGB
from pgseg_core.viz.typeface import families, typeface

ONE_COLUMN, TWO_COLUMNS = 3.3, 6.9
"""Widths of a column and of two, in inches, as CVPR and NeurIPS print them."""
HEADING, TEXT, SMALL = 7.5, 6.8, 6.0
"""Heights of letters, in points."""
INK, QUIET, LINE = "#202020", "#5c5c5c", "#c4c4c4"
MARGIN = 0.06
"""Inches around everything; a paper has its own margins."""
DOTS_PER_INCH = 300

_RULER = 100  # pixels of the letters that widths are measured with


class Sheet:
    """An empty figure on which pictures and words are placed by hand.

    Positions are (left, top) in inches from the top left corner.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white")
        FigureCanvasAgg(self.figure)
        self.width, self.height = width, height

    def axes(self, at: tuple[float, float], size: tuple[float, float]) -> Axes:
        """Place empty axes.

        Args:
            at: Left and top, in inches.
            size: Width and height, in inches.
        """
        (left, top), (width, height) = at, size
        return self.figure.add_axes(
            (
                left / self.width,
                1 - (top + height) / self.height,
                width / self.width,
                height / self.height,
            )
        )

    def picture(
        self,
        pixels: UInt8[np.ndarray, "h w 3"],
        at: tuple[float, float],
        size: tuple[float, float],
        *,
        frame: RGB | None = None,
        dashed: bool = False,
    ) -> Axes:
        """Place a picture; its axes count in the picture's pixels.

        Args:
            pixels: RGB.
            at: Left and top, in inches.
            size: Width and height, in inches.
            frame: Colour of a line around it; None draws none.
            dashed: Whether that line is dashed.
        """
        axes = self.axes(at, size)
        axes.imshow(pixels, aspect="auto", interpolation="antialiased")
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(visible=frame is not None, linewidth=1.4)
            spine.set_linestyle((0, (2.4, 1.6)) if dashed else "solid")
            if frame is not None:
                spine.set_edgecolor(unit(frame))
        return axes

    def words(
        self,
        text: str,
        at: tuple[float, float],
        size: float = TEXT,
        *,
        room: float | None = None,
        **style: Any,
    ) -> None:
        """Write one line whose baseline starts at a place.

        Args:
            text: What to write; `$` has no meaning.
            at: Left and baseline, in inches.
            size: Height of the letters in points.
            room: Inches to stay within; a longer text is cut with an ellipsis.
            style: Properties of matplotlib's text, such as `color`, `weight` and `ha`.
        """
        left, baseline = at
        line = one_line(text) if room is None else fitted(text, size, room)
        self.figure.text(
            left / self.width,
            1 - baseline / self.height,
            line,
            size=size,
            family=list(families(line)),
            parse_math=False,
            **({"color": INK, "va": "baseline"} | style),
        )

    def chip(self, colour: RGB, at: tuple[float, float], side: float) -> None:
        """Place a small square of a colour; `at` is its top left corner."""
        left, top = at
        self.figure.add_artist(
            Rectangle(
                (left / self.width, 1 - (top + side) / self.height),
                side / self.width,
                side / self.height,
                transform=self.figure.transFigure,
                facecolor=unit(colour),
                edgecolor="none",
            )
        )


def unit(colour: RGB) -> tuple[float, float, float]:
    """Return a colour as matplotlib takes it, from 0 to 1."""
    red, green, blue = colour
    return red / 255, green / 255, blue / 255


def text_width(text: str, size: float) -> float:
    """Return how many inches a line takes at a height in points."""
    return float(typeface(_RULER, text).getlength(text)) / _RULER * size / 72


def fitted(text: str, size: float, room: float) -> str:
    """Cut a line with an ellipsis where it would be longer than `room` inches."""
    line = one_line(text)
    return shorten(line, typeface(_RULER, line), room * 72 / size * _RULER)


def style_axes(axes: Axes) -> None:
    """Give a chart the figures' letters and thin lines, and no box around it."""
    axes.tick_params(
        labelsize=SMALL, width=0.5, length=2, pad=1.5, color=QUIET, labelcolor=QUIET, which="both"
    )
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontfamily("DejaVu Sans")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set(linewidth=0.5, color=QUIET)
    axes.grid(visible=True, color="#e4e4e4", linewidth=0.4)
    axes.set_axisbelow(True)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format that its path's suffix names (png, pdf, svg, ...).

    The file is written beside its place and renamed: it is there whole, or as it was. Nothing in
    it tells when or where it was made, so that equal figures are equal files. Letters of a PDF
    are embedded as TrueType, which conferences ask for. Where no font of this machine knows a
    sign, a box stands for it.

    Raises:
        DataError: The format is unknown, or the file cannot be written.
    """
    check_format(path)
    file_format = path.suffix.lstrip(".").lower()
    dated = {"png": "Software", "pdf": "CreationDate", "svg": "Date"}
    metadata = {dated[file_format]: None} if file_format in dated else {}
    try:
        with (
            whole_file(path) as file,
            rc_context({"svg.hashsalt": "pgseg", "pdf.fonttype": 42}),
            warnings.catch_warnings(),
        ):
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
            figure.savefig(file, format=file_format, metadata=metadata)
    except OSError as error:
        raise DataError(
            f"{path}: the figure cannot be written ({error.strerror})",
            hint="Give another path with --out.",
        ) from None


def check_format(path: Path) -> None:
    """Refuse a path whose suffix names no format that figures are written in.

    Raises:
        DataError: The format is unknown.
    """
    known = FigureCanvasAgg.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in known:
        raise DataError(
            f"{path}: figures cannot be written as '{path.suffix}'",
            hint=f"Use one of: {', '.join(sorted(known))}",
        )
