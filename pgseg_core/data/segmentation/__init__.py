"""Images with index masks, for evaluation: the published benchmarks' own trees and plain folders.

A set is checked when it is opened, so that a missing file is known before hours of work.
"""

from pgseg_core.data.segmentation.benchmarks import (
    SEGMENTATION_SETS,
    VOC12_CLASSES,
    WITH_UNLABELLED,
    BenchmarkSet,
    Unlabelled,
    open_segmentation_set,
    parse_unlabelled,
    recognise_set,
    without_root,
)
from pgseg_core.data.segmentation.regroup import regrouped
from pgseg_core.data.segmentation.sets import (
    BACKGROUND,
    IGNORE_LABEL,
    IndexMaskSet,
    MaskFiles,
    SegmentationSample,
    SegmentationSet,
    read_index_mask,
)

__all__ = [
    "BACKGROUND",
    "IGNORE_LABEL",
    "SEGMENTATION_SETS",
    "VOC12_CLASSES",
    "WITH_UNLABELLED",
    "BenchmarkSet",
    "IndexMaskSet",
    "MaskFiles",
    "SegmentationSample",
    "SegmentationSet",
    "Unlabelled",
    "open_segmentation_set",
    "parse_unlabelled",
    "read_index_mask",
    "recognise_set",
    "regrouped",
    "without_root",
]
