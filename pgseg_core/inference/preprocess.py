"""At which sizes a photo is read (protocol `groupvit`, step 1; several with `scales`)."""

from typing import Protocol, runtime_checkable

from pgseg_core.inference.options import SegmentOptions


@runtime_checkable
class Sides(Protocol):
    """What a model wants of a photo's sides; `InferenceConfig` explains it."""

    @property
    def short_side(self) -> int:
        """Pixels of the short side ..."""
        ...

    @property
    def long_side(self) -> int:
        """... unless the long side would then have more than these."""
        ...


def resized_size(height: int, width: int, sides: Sides) -> tuple[int, int]:
    """Return (height, width) after resizing by min(long_side / longest, short_side / shortest)."""
    scale = min(sides.long_side / max(height, width), sides.short_side / min(height, width))
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def sides_to_read(sides: Sides, options: SegmentOptions) -> list[tuple[int, int]]:
    """Return the short and long side of each reading; the first is of scale 1, or next to it."""
    found = []
    base = options.size or sides.short_side
    for scale in sorted(options.scales, key=lambda scale: abs(scale - 1)):
        short = max(1, round(base * scale))
        found.append((short, max(1, round(sides.long_side * short / sides.short_side))))
    return found
