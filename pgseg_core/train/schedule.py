"""Step counts and learning rates, as functions of the step alone."""

import math
from dataclasses import dataclass

from pgseg_core.config import TrainConfig


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then half a cosine (the paper's run)."""

    steps: int
    """Optimiser steps of the whole run."""
    warmup: int
    """Steps of the warm-up."""
    lr: float
    min_lr: float
    warmup_lr: float

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.warmup_lr + (self.lr - self.warmup_lr) * step / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return (
            self.min_lr + (self.lr - self.min_lr) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
        )


def make_schedule(config: TrainConfig, *, steps_per_epoch: int) -> Schedule:
    """Turn epochs into steps."""
    return Schedule(
        steps=max(1, math.ceil(config.epochs * steps_per_epoch)),
        warmup=round(config.warmup_epochs * steps_per_epoch),
        lr=config.lr,
        min_lr=config.min_lr,
        warmup_lr=config.warmup_lr,
    )
