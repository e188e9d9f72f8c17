"""The loss scale of fp16, the same on every rank and in every engine.

torch's `GradScaler` decides rank by rank and inside the optimiser, which DeepSpeed cuts up; here
the decision follows from the gradient norm that all ranks share.
"""

import math
from dataclasses import dataclass

from pgseg_core.errors import TrainingError

_FIRST, _FACTOR, _PATIENCE = 2.0**16, 2.0, 2000


@dataclass
class LossScale:
    """Halves where gradients overflow, doubles after 2000 steps in which none did.

    Attributes:
        enabled: False keeps the scale at 1.
        value: What the loss is multiplied by; a power of two.
        good_steps: Steps without overflow since the last change.
    """

    enabled: bool
    value: float = 1.0
    good_steps: int = 0

    def __post_init__(self) -> None:
        if self.enabled:
            self.value = _FIRST

    def update(self, grad_norm: float) -> bool:
        """Take note of a step's gradient norm; returns whether it overflowed and is to be skipped.

        Raises:
            TrainingError: Gradients overflow although they are not scaled up any more.
        """
        if not self.enabled:
            return False
        if math.isfinite(grad_norm):
            self.good_steps += 1
            if self.good_steps == _PATIENCE:
                self.value, self.good_steps = self.value * _FACTOR, 0
            return False
        if self.value <= 1.0:
            raise TrainingError(f"gradients overflow in fp16 at a loss scale of {self.value:g}")
        self.value, self.good_steps = self.value / _FACTOR, 0
        return True

    def state(self) -> dict[str, float]:
        """Return what a checkpoint keeps."""
        return {"scale": self.value, "good_steps": self.good_steps} if self.enabled else {}

    def load(self, state: dict[str, float]) -> None:
        """Go on from a checkpoint's scale, if it has one."""
        if self.enabled and "scale" in state:
            self.value, self.good_steps = state["scale"], int(state.get("good_steps", 0))
