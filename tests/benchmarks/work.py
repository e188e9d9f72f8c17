"""The same work for every program: noise as images, captions of web-like length, class names."""

import torch

from pgseg_core.config import Config, load_config
from pgseg_core.data.batch import Batch

CONTEXT = 77
WORDS = (6, 8, 9, 10, 10, 11, 12, 13, 15, 18)
"""Tokens between start and end: captions of CC12M and Flickr8k have about 12."""


def paper(preset: str) -> Config:
    """The paper's model."""
    return load_config(preset)


def training_batch(size: int) -> Batch:
    """Normalised images, and captions padded to 77 tokens as a reader delivers them."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(size, 3, 224, 224, generator=generator)
    tokens = torch.zeros(size, CONTEXT, dtype=torch.long)
    for row in range(size):
        count = WORDS[row % len(WORDS)]
        tokens[row, 0] = 49406
        tokens[row, 1 : count + 1] = torch.randint(1, 49000, (count,), generator=generator)
        tokens[row, count + 1] = 49407
    return Batch(images=images, tokens=tokens)


def class_prompts(count: int) -> torch.Tensor:
    """Prompts such as "a photo of a NAME.", padded to 77: start, four words, a name, end."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.zeros(count, CONTEXT, dtype=torch.long)
    tokens[:, :5] = torch.tensor([49406, 320, 1125, 539, 320])
    tokens[:, 5] = torch.randperm(40000, generator=generator)[:count] + 1000
    tokens[:, 6], tokens[:, 7] = 269, 49407
    return tokens


def window(side: int = 448, count: int = 1) -> torch.Tensor:
    """Normalised windows."""
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(2))
