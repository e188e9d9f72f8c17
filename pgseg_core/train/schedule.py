"""Step counts, learning rates and the fading of noise, as functions of the step alone."""

import math
from dataclasses import dataclass

from pgseg_core.config import TrainConfig


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then half a cosine (the paper's run); noise that may fade meanwhile."""

    steps: int
    """Optimiser steps of the whole run."""
    warmup: int
    """Steps of the warm-up."""
    lr: float
    min_lr: float
    warmup_lr: float
    fade: int = 0
    """Steps after which the assignment's noise is gone; 0 keeps it."""

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.warmup_lr + (self.lr - self.warmup_lr) * step / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return (
            self.min_lr + (self.lr - self.min_lr) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
        )

    def noise(self, step: int) -> float:
        """Return the share of `model.image.assign_noise` that a step has, counted from 0."""
        return max(0.0, 1 - step / self.fade) if self.fade else 1.0


def make_schedule(config: TrainConfig, *, steps_per_epoch: int) -> Schedule:
    """Turn epochs into steps."""
    steps = max(1, math.ceil(config.epochs * steps_per_epoch))
    return Schedule(
        steps=steps,
        warmup=round(config.warmup_epochs * steps_per_epoch),
        lr=config.lr,
        min_lr=config.min_lr,
        warmup_lr=config.warmup_lr,
        fade=math.ceil(config.noise_fade * steps),
    )
