"""Evaluation while training: the set is opened before the first step, and shared among the ranks.

`train` does not know `evaluation`; it is handed the function that is made here. Imports torch, so
the command imports it when it runs.
"""

from collections.abc import Mapping
from pathlib import Path

import torch

from pgseg_cli.console import say
from pgseg_core.comm import Collectives
from pgseg_core.config import EvaluationConfig
from pgseg_core.data.manifest import newest_prepared
from pgseg_core.data.prepare.synthetic import EVALUATION_FOLDER
from pgseg_core.data.segmentation import open_segmentation_set
from pgseg_core.evaluation.evaluate import evaluate_zero_shot
from pgseg_core.evaluation.protocols import load_protocol
from pgseg_core.evaluation.resolve import Overrides, ask
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.train.run import Measure


def make_measure(config: EvaluationConfig) -> Measure | None:
    """Return what scores a checkpoint: mIoU first, by which the best is kept.

    Every rank loads the checkpoint and reads its own share of the set; the counts are summed. So
    any engine can be evaluated, also one whose ranks hold no whole weights.

    Raises:
        PgsegError: The set or the protocol is not there, or they do not fit each other.
    """
    if not config.every:
        return None
    root = Path(config.root) if config.root else newest_prepared(Path()) / EVALUATION_FOLDER
    images = open_segmentation_set(config.dataset, root)
    protocol = load_protocol(config.protocol)
    ask(images, protocol, Overrides())

    def measure(checkpoint: Path, comm: Collectives, device: torch.device) -> Mapping[str, float]:
        report = evaluate_zero_shot(
            Segmenter.load(checkpoint, device=device.type),
            images,
            protocol,
            comm,
            own_size=True,
            limit=config.limit or None,
        )
        scores = report.scores
        say(f"{checkpoint.name}: mIoU {100 * scores.miou:.2f} % on {report.images_seen} images")
        return {"miou": scores.miou, "aacc": scores.aacc, "macc": scores.macc}

    return measure
