"""The network: encoders, grouping, projectors, and what they return."""

from pgseg_core.model.build import build_model
from pgseg_core.model.outputs import GroupingOutput, ImageOutput, TextOutput
from pgseg_core.model.pgseg import PGSeg

__all__ = ["GroupingOutput", "ImageOutput", "PGSeg", "TextOutput", "build_model"]
