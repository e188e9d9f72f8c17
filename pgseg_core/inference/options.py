"""How a photo is segmented: the choices of a call, from a terminal, Python or a server alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from pgseg_core.errors import ConfigError, did_you_mean
from pgseg_core.inference.refinements import REFINEMENTS
from pgseg_core.text.background import load_background_words
from pgseg_core.weights import Recommended

MOST_SHORT_SIDE = 4096
THRESHOLD = 0.95
"""Of protocol `groupvit`, for weights that recommend nothing else."""


class Choices(TypedDict, total=False):
    """The fields of `SegmentOptions`, as keywords of `Segmenter.segment`."""

    background: bool
    threshold: float | None
    background_words: str | Sequence[str] | None
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
    threshold: float | None = None
    """Groups whose best class scores below this are background. None: what the weights recommend,
    else `THRESHOLD`."""
    background_words: str | Sequence[str] | None = None
    """Words that compete like classes and answer as background: `stuff`, a file, `none`, or the
    words (see `text.background`). None: what the weights recommend, else none. They count with
    `background` only."""
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
        if self.threshold is not None and not 0 <= self.threshold <= 1:
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

    def settled(
        self, recommended: Recommended, *, threshold: float = THRESHOLD
    ) -> "SegmentOptions":
        """Fill in what is left open: by what the weights recommend, else by the method's threshold.

        Without background there is neither a threshold nor a word.

        Raises:
            ConfigError: Background words from a file that is not there.
            DataError: The file cannot be read.
        """
        if not self.background:
            return replace(self, threshold=None, background_words=())
        words = self.background_words
        if recommended.background is not None:
            threshold = recommended.background
        if self.threshold is not None:
            threshold = self.threshold
        if words is None:
            words = recommended.background_words
        return replace(
            self, threshold=threshold, background_words=load_background_words(words).words
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
