"""Bytes on one device, by ZeRO stage."""

from dataclasses import dataclass

from pgseg_core.config import TrainConfig
from pgseg_core.train.plan.sizes import ModelSizes

STAGES = (0, 1, 2, 3)


@dataclass(frozen=True)
class Memory:
    """What one device holds."""

    states: float
    """Weights, gradients and AdamW's moments."""
    activations: float
    """Of one micro-batch."""
    contrast: float
    """What compares the whole batch: gathered vectors and their products."""

    @property
    def total(self) -> float:
        """All of it."""
        return self.states + self.activations + self.contrast


def memory_per_device(
    sizes: ModelSizes, config: TrainConfig, *, devices: int, joint_width: int, stage: int
) -> Memory:
    """Add up what a device holds.

    Weights are float32 in every engine, whatever precision multiplies them: 4 bytes each for
    weight and gradient, 8 for the moments. From stage 1 on DeepSpeed steps on a float32 copy of
    its own piece, 4 bytes more for the pieces. Cut up among devices are the moments and that copy
    (stage 1), the gradients too (stage 2), all of it (stage 3).
    """
    whole, cut = {0: (16, 0), 1: (8, 12), 2: (4, 16), 3: (0, 20)}[stage]
    rows = config.batch_size / devices
    gathered = 4 * config.batch_size * joint_width * 4
    products = 4 * rows * config.batch_size * 4
    return Memory(
        states=sizes.total * (whole + cut / devices),
        activations=sizes.activation_bytes_per_pair * rows / config.accumulate,
        contrast=gathered + products,
    )
