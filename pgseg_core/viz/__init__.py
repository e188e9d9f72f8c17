"""From outputs to pictures."""

from pgseg_core.viz.overlay import draw_overlay, index_mask
from pgseg_core.viz.palette import class_colours, palette_bytes, text_colour
from pgseg_core.viz.prototypes import StageView, draw_prototypes
from pgseg_core.viz.sheet import save_figure

__all__ = [
    "StageView",
    "class_colours",
    "draw_overlay",
    "draw_prototypes",
    "index_mask",
    "palette_bytes",
    "save_figure",
    "text_colour",
]
