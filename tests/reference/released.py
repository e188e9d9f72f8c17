"""The numbers of the released PGSeg and GroupViT code, and of transformers' GroupViT."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.shared_data import shared

TOLERANCE = 2e-4
"""Relative; float32 against float64 differs by at most 4e-5 here."""

golden = pytest.mark.golden


def parity_path(name: str) -> Path:
    """Return a file of reference numbers, or skip the test where they are not at hand."""
    return shared("parity", name)


@cache
def numbers(name: str) -> dict[str, np.ndarray]:
    with np.load(parity_path(name)) as archive:
        return dict(archive)


def tensor(name: str, key: str) -> Tensor:
    return torch.from_numpy(numbers(name)[key].copy())


def relative(ours: Tensor, theirs: Tensor) -> float:
    """The norm of the difference over the norm of the reference."""
    return float((ours - theirs).norm() / theirs.norm().clamp(min=1e-12))


def assert_equal(ours: Tensor, theirs: Tensor, what: str = "") -> None:
    assert ours.shape == theirs.shape, what
    assert relative(ours, theirs) < TOLERANCE, what
