"""A model of two stages that runs in milliseconds, and a batch for it."""

from dataclasses import replace
from typing import Any

import torch

from pgseg_core.config import Config, InferenceConfig, ModelConfig, parse_config
from pgseg_core.data.batch import Batch
from pgseg_core.inference.class_bank import ClassBank, make_queries
from pgseg_core.inference.score_map import ScoreMap
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.methods.groups import GroupsMethod
from pgseg_core.networks.grouping import PGSeg

MODEL = {
    "image": {
        "image_size": 32,
        "patch_size": 8,
        "width": 32,
        "num_heads": 2,
        "depths": [1, 1, 1],
        "num_groups": [6, 4],
        "drop_path": 0.0,
    },
    "text": {"context_length": 16, "width": 32, "depth": 1, "num_heads": 2},
    "npr": {"reconstruct_width": 48, "batch_prototypes": 6},
    "joint_width": 24,
    "projector_width": 48,
}


def tiny_config(**sections: object) -> Config:
    """A whole configuration around the tiny model."""
    return parse_config({"model": MODEL, **sections}, origin="tiny")


def tiny_model_config() -> ModelConfig:
    return tiny_config().model


def tiny_batch(size: int = 6, seed: int = 0) -> Batch:
    """Noise, and captions of different lengths between start and end tokens."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(size, 3, 32, 32, generator=generator)
    tokens = torch.zeros(size, 12, dtype=torch.long)
    for row in range(size):
        words = torch.randint(1, 49000, (3 + row % 5,), generator=generator)
        tokens[row, : len(words) + 2] = torch.cat(
            [torch.tensor([49406]), words, torch.tensor([49407])]
        )
    return Batch(images=images, tokens=tokens)


def segmenter_of(
    network: PGSeg, options: InferenceConfig, *, device: torch.device | None = None, **about: Any
) -> Segmenter:
    """Return a segmenter around a grouping network."""
    return Segmenter(GroupsMethod(network, options, device), **about)


def scores_of(
    segmenter: Segmenter,
    pixels: torch.Tensor,
    bank: ClassBank,
    *,
    threshold: float | None,
    top_k: int = 5,
) -> ScoreMap:
    """Score a photo that is resized and normalised; with a threshold, class 0 is background."""
    queries = make_queries(bank, None, has_background=threshold is not None)
    field = segmenter.region_field(pixels.numpy())
    rule = replace(segmenter.reading.rule, top_k=top_k)
    return segmenter.score_map(field, queries, [threshold], rule=rule)
