"""From predictions and masks to numbers that can be compared."""

from pgseg_core.evaluation.baselines import BASELINES, Baseline, trivial_baseline
from pgseg_core.evaluation.metrics.retrieval import RetrievalScores, retrieval_recalls
from pgseg_core.evaluation.metrics.segmentation import (
    SegmentationScores,
    class_pixels,
    confusion,
    scores,
)
from pgseg_core.evaluation.protocols import (
    Protocol,
    SetRules,
    SystemRules,
    class_list_hash,
    load_protocol,
    protocol_names,
)
from pgseg_core.evaluation.report.report import TABLE_COLUMNS, Report, write_report
from pgseg_core.evaluation.runner import (
    SegmentationResult,
    evaluate_segmentation,
)

__all__ = [
    "BASELINES",
    "TABLE_COLUMNS",
    "Baseline",
    "Protocol",
    "Report",
    "RetrievalScores",
    "SegmentationResult",
    "SegmentationScores",
    "SetRules",
    "SystemRules",
    "class_list_hash",
    "class_pixels",
    "confusion",
    "evaluate_segmentation",
    "load_protocol",
    "protocol_names",
    "retrieval_recalls",
    "scores",
    "trivial_baseline",
    "write_report",
]
