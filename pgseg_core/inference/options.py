"""How a photo is segmented: the choices of a call, from a terminal, Python or a server alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from pgseg_core.errors import ConfigError, did_you_mean
from pgseg_core.inference.refine import REFINEMENTS

MOST_SHORT_SIDE = 4096


class Choices(TypedDict, total=False):
    """The fields of `SegmentOptions`, as keywords of `Segmenter.segment`."""

    background: bool
    threshold: float
    top_k: int
    refine: str
    scales: Sequence[float]
    flip: bool
    size: int | None


@dataclass(frozen=True, kw_only=True)
class SegmentOptions:
    """Choices of a call.

    Raises:
        ConfigError: A value is out of range.
    """

    background: bool = False
    """Whether pixels may belong to none of the classes."""
    threshold: float = 0.95
    """Groups whose best class scores below this are background."""
    top_k: int = 5
    """How many classes one window may show."""
    refine: str = "none"
    """How masks are fitted to the photo's edges: a name of `REFINEMENTS`."""
    scales: Sequence[float] = (1.0,)
    """The photo is read at each of these sizes, relative to `size`, and the scores averaged."""
    flip: bool = False
    """Whether its mirror image is read as well, and averaged in."""
    size: int | None = None
    """Short side at which the photo is read, in pixels; None for what the model was made for."""

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold {self.threshold:g} is no score", hint="Take 0 to 1.")
        if self.top_k < 1:
            raise ConfigError(f"top-k {self.top_k} leaves no class", hint="Take 1 or more.")
        if self.refine not in REFINEMENTS:
            raise ConfigError(
                f"no refinement called '{self.refine}'",
                hint=did_you_mean(self.refine, REFINEMENTS),
            )
        if not self.scales or not all(0.1 <= scale <= 8 for scale in self.scales):
            shown = ",".join(f"{scale:g}" for scale in self.scales)
            raise ConfigError(
                f"scales '{shown}' cannot be read",
                hint="Take numbers from 0.1 to 8 between commas: 0.75,1,1.25",
            )
        if self.size is not None and not 16 <= self.size <= MOST_SHORT_SIDE:
            raise ConfigError(
                f"size {self.size} is out of range", hint=f"Take 16 to {MOST_SHORT_SIDE} pixels."
            )


def parse_scales(value: str) -> tuple[float, ...]:
    """Read relative sizes between commas: 0.75,1,1.25.

    Raises:
        ConfigError: Something is no number.
    """
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError:
        raise ConfigError(
            f"scales '{value}' cannot be read",
            hint="Take numbers from 0.1 to 8 between commas: 0.75,1,1.25",
        ) from None
