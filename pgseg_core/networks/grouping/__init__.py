"""The network: encoders, grouping, projectors, and what they return."""

from pgseg_core.networks.blocks.layers import LinearProjector, ResidualProjector
from pgseg_core.networks.blocks.stem import Lite0Stem
from pgseg_core.networks.grouping.build import build_model
from pgseg_core.networks.grouping.grouping import GroupingBlock
from pgseg_core.networks.grouping.network import PGSeg
from pgseg_core.networks.grouping.outputs import GroupingOutput, ImageOutput, TextOutput

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
