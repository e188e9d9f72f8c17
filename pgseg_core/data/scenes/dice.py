"""Chance that falls the same way on every machine.

Everything is drawn from uniform numbers of one counter-based generator, so a scene depends on its
seed and index alone, and no library's choice of a normal or integer algorithm can change it.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Option = TypeVar("Option")


class Dice:
    """A stream of chance named by a few non-negative integers."""

    def __init__(self, *key: int) -> None:
        self._generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))

    def unit(self) -> float:
        """A number in [0, 1)."""
        return float(self._generator.random())

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.unit()

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self.unit() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def side(self) -> float:
        """-1 or 1."""
        return 1.0 if self.chance(0.5) else -1.0

    def pick(self, options: Sequence[Option]) -> Option:
        """One of the options, each as likely."""
        return options[self.whole(0, len(options) - 1)]

    def weighted(self, weights: Mapping[Option, float]) -> Option:
        """One of the keys, as likely as its weight; some weight must be positive."""
        left = self.unit() * sum(weights.values())
        chosen = next(iter(weights))
        for option, weight in weights.items():
            if weight <= 0:
                continue
            chosen = option
            left -= weight
            if left < 0:
                break
        return chosen

    def around(self, mean: float) -> int:
        """A count with this mean: the whole part, and one more as often as the rest says."""
        spread = mean * self.between(0.3, 1.7)
        return int(spread) + int(self.chance(spread - int(spread)))

    def jitter(
        self, colour: tuple[float, float, float], amount: float
    ) -> tuple[float, float, float]:
        """The colour moved by up to `amount` in brightness and half of it in each channel."""
        shift = self.between(-amount, amount)
        red, green, blue = (
            min(1.0, max(0.0, part + shift + self.between(-amount, amount) / 2)) for part in colour
        )
        return red, green, blue

    def field(self, *shape: int) -> NDArray[np.float32]:
        """An array of numbers in [0, 1)."""
        return self._generator.random(shape, dtype=np.float32)
