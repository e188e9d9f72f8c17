"""A figure laid out in inches from its top left corner, and how a figure gets to disk."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pgseg_core.atomic import whole_file
from pgseg_core.errors import DataError

INK = "#202020"
QUIET = "#6b6b6b"
_DOTS_PER_INCH = 160


class Sheet:
    """An empty figure on which pictures and words are placed by hand.

    Positions are (left, top) in inches from the top left corner.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, facecolor="white")
        FigureCanvasAgg(self.figure)
        self._width, self._height = width, height

    def picture(
        self,
        pixels: UInt8[np.ndarray, "h w 3"],
        at: tuple[float, float],
        size: tuple[float, float],
        *,
        frame: str | None = None,
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
        (left, top), (width, height) = at, size
        axes = self.figure.add_axes(
            (
                left / self._width,
                1 - (top + height) / self._height,
                width / self._width,
                height / self._height,
            )
        )
        axes.imshow(pixels, aspect="auto", interpolation="antialiased")
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(visible=frame is not None, linewidth=2, color=frame)
            spine.set_linestyle((0, (3, 2)) if dashed else "solid")
        return axes

    def words(self, text: str, at: tuple[float, float], size: float, **style: Any) -> None:
        """Write one line whose baseline starts at a place.

        Args:
            text: What to write; `$` has no meaning.
            at: Left and baseline, in inches.
            size: Height of the letters in points.
            style: Properties of matplotlib's text, such as `color`, `weight` and `ha`.
        """
        left, baseline = at
        self.figure.text(
            left / self._width,
            1 - baseline / self._height,
            text,
            size=size,
            family="DejaVu Sans",
            parse_math=False,
            **({"color": INK, "va": "baseline"} | style),
        )


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format that its path's suffix names (png, pdf, svg, ...).

    The file is written beside its place and renamed: it is there whole, or as it was. Nothing in
    it tells when or where it was made, so that equal figures are equal files.

    Raises:
        DataError: The format is unknown, or the file cannot be written.
    """
    known = figure.canvas.get_supported_filetypes()
    file_format = path.suffix.lstrip(".").lower()
    if file_format not in known:
        raise DataError(
            f"{path}: figures cannot be written as '{path.suffix}'",
            hint=f"Use one of: {', '.join(sorted(known))}",
        )
    dated = {"png": "Software", "pdf": "CreationDate", "svg": "Date"}
    metadata = {dated[file_format]: None} if file_format in dated else {}
    try:
        with whole_file(path) as file, rc_context({"svg.hashsalt": "pgseg"}):
            figure.savefig(file, format=file_format, metadata=metadata)
    except OSError as error:
        raise DataError(
            f"{path}: the figure cannot be written ({error.strerror})",
            hint="Give another path with --out.",
        ) from None
