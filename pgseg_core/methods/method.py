"""THE CONTRACT of a method: windows and prompts in, vectors that can be compared out.

Everything around a method is the same for all of them and stands in `pgseg_core.inference`: where
windows lie, how vectors become scores, background, refinement, masks. A method is one class with
the members of `Method`. It computes in torch, or, like an exported model, in numpy; what it returns
is of one kind throughout. `python -m tests.methods.conformance` tells whether one keeps the rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Integer

from pgseg_core.colours import IMAGENET_MEAN, IMAGENET_STD

Array = Any
"""A torch tensor, or a numpy array."""


@dataclass(frozen=True)
class PatchGrid:
    """Regions are the cells of a grid, row by row; a pixel lies among the cells around it."""

    rows: int
    columns: int
    box: tuple[int, int, int, int]
    """What the grid covers: top, left, bottom and right in pixels of the window. It may reach
    beyond the window, where the window was filled up to whole patches; what lies outside is cut
    off. `(0, 0, height, width)` stretches the grid over the window."""


@dataclass(frozen=True)
class Owners:
    """Each pixel of a window belongs to one region."""

    index: Integer[Array, "b h w"]
    """Number of the region; more than 256 may exist."""


@dataclass(frozen=True)
class Regions:
    """What a batch of windows is made of."""

    vectors: Float[Array, "b r e"]
    """One a region, of any length, ready to be compared with class vectors. On the CPU or on the
    method's device; float32."""
    place: PatchGrid | Owners
    """Where the regions lie; the same grid for all windows of a batch."""
    windows: Float[Array, "b e"] | None = None
    """Each window as a whole, where a short list of classes is chosen by it; any length."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How the cosines of regions and queries become a class for every pixel.

    A query is a prompt vector; a class may have several (synonyms), and background words are
    queries of the background. Published protocols use the same names (docs/protocols.md).
    """

    scores: Literal["product", "softmax", "pixel_softmax"] = "product"
    """`product`: for each region, softmax over all queries times softmax over the `top_k` that fit
    the window best. `softmax`: the first of them alone. `pixel_softmax`: cosines averaged over
    windows and enlarged, then for each pixel softmax over all queries."""
    top_k: int | None = 5
    """Queries that a window may show (`product`); None leaves none out."""
    top_k_by: Literal["image", "groups"] = "image"
    """What says which: the window's own vector, or its best region's."""
    synonyms: Literal["mean", "apart"] = "mean"
    """Whether a class's synonyms are averaged into one query, or each is one (`apart`): the best of
    them speaks for the class."""
    unit_prompts: bool = False
    """Whether each prompt's vector is scaled to length 1 before the mean over templates."""
    templates: str = "simple"
    """The prompt templates that the method was made for."""
    background: Literal["capped_threshold", "constant_score", "probability"] = "capped_threshold"
    """Which pixels are background, where there is one. `capped_threshold`: regions whose best score
    is below min(threshold, the window's best). `constant_score`: pixels whose best score is at most
    the threshold. `probability`: pixels whose best class, background words among them, has a score
    below the threshold."""
    threshold: float = 0.95
    """Background threshold where neither the weights nor the user say another."""
    scale: float | None = None
    """Factor of the cosines before a softmax; None is the method's own (`Method.scale`)."""
    least_area: float = 0.0
    """Classes with at most this share of all pixels that are not background are left out; their
    pixels go to the next best class (SCLIP's area rule)."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a method wants a photo: sizes, windows, colours, and the rule that decides."""

    short_side: int = 448
    """The photo is resized, keeping its ratio, until its short side has this many pixels."""
    long_side: int = 2048
    """... unless its long side would then exceed this many."""
    antialias: bool = True
    """Whether shrinking averages over the pixels it removes; protocols do not."""
    window: int | None = 448
    """Side of the sliding window in pixels; None takes the whole photo at once."""
    stride: int = 224
    """Step of the sliding window in pixels."""
    taper_windows: bool = False
    """Whether a window counts less and less towards its borders where others overlap it."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Mean of red, green and blue that the network expects, for values in [0, 1]."""
    deviation: tuple[float, float, float] = IMAGENET_STD
    """Standard deviation of the same."""
    image_side: int = 224
    """Side of the square in which an image is seen as a whole (retrieval, classification)."""
    rule: Rule = field(default_factory=Rule)


@runtime_checkable
class Method(Protocol):
    """A way to see: a network with its weights, frozen, as a segmenter asks it."""

    @property
    def reading(self) -> Reading:
        """How photos are best read."""
        ...

    @property
    def departures(self) -> list[str]:
        """What it does beside reading, scoring and background, in a few words each; for reports."""
        ...

    @property
    def windows_at_once(self) -> int | None:
        """How many windows it wants in every call, always as many; None takes what there is.

        The rounding of a product depends on the size of its batch, not on what else is in it. So a
        method that gains by full batches gets them always full (the last one filled up), and an
        image's pixels are the same alone and among others. A window must never depend on the other
        windows of its batch.
        """
        ...

    @property
    def fingerprint(self) -> str:
        """All that text vectors depend on beside the weights' file, for vectors kept on disk."""
        ...

    def regions(self, windows: Float[np.ndarray, "b 3 h w"]) -> Regions:
        """Encode windows of one size, in the colours of `reading`."""
        ...

    def embed(self, prompts: Sequence[str]) -> Float[Array, "p e"]:
        """Encode prompts into vectors of any length."""
        ...

    def scale(self) -> float:
        """Return 1 / temperature: the factor of cosines before a softmax."""
        ...

    def array(self, values: np.ndarray) -> Array:
        """Return a numpy array as the kind of array that `embed` returns."""
        ...
