"""The network: encoders, grouping, projectors, and what they return."""

from pgseg_core.model.build import build_model
from pgseg_core.model.grouping import GroupingBlock
from pgseg_core.model.layers import LinearProjector, ResidualProjector
from pgseg_core.model.outputs import GroupingOutput, ImageOutput, TextOutput
from pgseg_core.model.pgseg import PGSeg
from pgseg_core.model.stem import Lite0Stem

__all__ = [
    "GroupingBlock",
    "GroupingOutput",
    "ImageOutput",
    "LinearProjector",
    "Lite0Stem",
    "PGSeg",
    "ResidualProjector",
    "TextOutput",
    "build_model",
]
