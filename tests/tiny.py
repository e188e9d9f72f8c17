"""A model of two stages that runs in milliseconds, and a batch for it."""

import torch

from pgseg_core.config import Config, ModelConfig, parse_config
from pgseg_core.data.batch import Batch

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
