"""The network: encoders, grouping, projectors, and what they return."""

from pgseg_core.model.build import build_model
from pgseg_core.model.outputs import GroupingOutput, ImageOutput, TextOutput
from pgseg_core.model.pgseg import PGSeg
from pgseg_core.model.stem import Lite0Stem

__all__ = ["GroupingOutput", "ImageOutput", "Lite0Stem", "PGSeg", "TextOutput", "build_model"]
