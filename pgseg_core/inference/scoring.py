"""From regions and queries to a class for every pixel: every scoring rule, once, for any array.

The rules and their names are those of published protocols (`methods.method.Rule`). A query is one
vector that is asked for; it answers for a class. Letters: b windows, r regions of a window,
q queries, t thresholds, c classes, k columns of a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from pgseg_core.arrays import arrays_of
from pgseg_core.methods.method import Array, Rule


@dataclass(frozen=True)
class Queries:
    """What is asked for, and which class each answer means."""

    vectors: Float[Array, "q e"]
    """Of any length."""
    classes: tuple[int, ...]
    """The class that each query answers for. Queries of background words come first."""
    num_classes: int
    """Classes, the background included where there is one (c)."""
    has_background: bool
    """Whether class 0 is the background."""


def class_embedding(
    prompts: Float[Array, "p e"], *, unit_first: bool = False
) -> Float[Array, " e"]:
    """Average the vectors of a query's prompts, then scale the mean to length 1 (step 4).

    Args:
        prompts: Vectors of any length.
        unit_first: Scale each of them to length 1 before the mean (protocol `sclip`).
    """
    arrays = arrays_of(prompts)
    return arrays.unit((arrays.unit(prompts) if unit_first else prompts).mean(0))


def window_fit(
    cosines: Float[Array, "b r q"],
    windows: Float[Array, "b e"] | None,
    queries: Float[Array, "q e"],
    rule: Rule,
) -> Float[Array, "b q"]:
    """Return the cosines that say which queries a window may show (step 5; docs/method.md).

    Args:
        cosines: Of regions and queries.
        windows: Window vectors, any length; needed where the rule goes by the image.
        queries: Query vectors, any length.
        rule: Says whose cosines they are (`top_k_by`).
    """
    arrays = arrays_of(cosines)
    if rule.top_k_by == "groups" or windows is None:
        return arrays.amax(cosines, 1)[:, 0]
    return arrays.unit(windows) @ arrays.unit(queries).T


def region_scores(
    regions: Float[Array, "b r e"],
    windows: Float[Array, "b e"] | None,
    queries: Float[Array, "q e"],
    scale: float,
    rule: Rule,
) -> Float[Array, "b r q"]:
    """Score every query for every region (step 5).

    Args:
        regions: Region vectors, any length.
        windows: Window vectors, any length.
        queries: Query vectors, any length.
        scale: Factor of the cosines, 1 / temperature.
        rule: `product` and `softmax` give scores in [0, 1], 0 for queries that the window does not
            show; `pixel_softmax` gives cosines, since its softmax is taken pixel by pixel.
    """
    arrays = arrays_of(regions)
    cosines = arrays.unit(regions) @ arrays.unit(queries).T
    if rule.scores == "pixel_softmax":
        return cosines
    affinity = scale * cosines
    scores = arrays.softmax(affinity, -1)
    if rule.scores == "softmax":
        return scores
    fit = window_fit(cosines, windows, queries, rule)
    outside = arrays.outside_top(fit, rule.top_k or fit.shape[-1])
    among_best = arrays.where(outside[:, None, :], -np.inf, affinity)
    return scores * arrays.softmax(among_best, -1)


def background_bar(scores: Float[Array, "b r q"], threshold: float) -> Float[Array, "b r 1"]:
    """Return 1 for regions that are background under `capped_threshold`, else 0 (step 6).

    They are those whose best score stays below min(threshold, the window's best score of all): the
    surest region is never background by the threshold alone.
    """
    arrays = arrays_of(scores)
    best = arrays.amax(scores, -1)  # (b, r, 1)
    bar = arrays.amax(best, 1).clip(max=threshold)
    return arrays.flags(best < bar)


@dataclass(frozen=True)
class Decision:
    """From the scores of a pixel's columns to its class, for several thresholds at once.

    The columns are one bar a threshold (only under `capped_threshold`), then the queries.
    """

    classes: tuple[int, ...]
    """The class that each query answers for (q)."""
    num_classes: int
    background: str
    """How background is told, as in `Rule`; `none` where there is none."""
    thresholds: tuple[float | None, ...] = (None,)
    """Background thresholds (t); None calls no pixel background."""
    scale: float | None = None
    """Factor of cosines before the softmax over queries; None where the columns are scores."""
    least_area: float = 0.0

    @property
    def num_bars(self) -> int:
        """How many leading columns are bars."""
        return len(self.thresholds) if self.background == "capped_threshold" else 0

    @property
    def must_stay(self) -> int:
        """Leading columns that count even where they are 0 everywhere: where all are, they win."""
        return len(self.classes) if self.scale is not None else self.num_bars + 1

    def answers(
        self,
        columns: Float[Array, "k y x"],
        kept: Int[np.ndarray, " k"],
        dropped: Bool[np.ndarray, " c"] | None = None,
    ) -> tuple[Array, Float[Array, "t y x"]]:
        """Return labels and winning scores (t, y, x).

        Args:
            columns: Scores of those columns that are not 0 everywhere.
            kept: Which they are, ascending; all bars among them.
            dropped: Classes that are left out because they have too few pixels.
        """
        arrays, bars = arrays_of(columns), self.num_bars
        owner = np.asarray(self.classes)[kept[bars:] - bars]
        scores = self._scored(columns[bars:])
        if dropped is not None:
            stays = arrays.array((~dropped[owner]).astype(np.float32), columns)
            scores = scores * stays[:, None, None]
        best, place = arrays.best(scores)
        found = arrays.take(owner, place)
        labels, winners = [], []
        for number, threshold in enumerate(self.thresholds):
            bar = columns[number] if bars else threshold
            if self.background == "none" or threshold is None:
                labels.append(found)
                winners.append(best)
                continue
            strictly = self.background == "probability"
            is_background = best < bar if strictly else best <= bar
            labels.append(arrays.where(is_background, 0, found))
            winners.append(arrays.where(is_background, bar, best) if bars else best)
        return _stacked(labels), _stacked(winners)

    def class_scores(
        self, columns: Float[Array, "k y x"], kept: Int[np.ndarray, " k"]
    ) -> Float[Array, "c y x"]:
        """Return each class's score: the best of its queries', and of its bar for the background.

        Args:
            columns: Scores of those columns that are not 0 everywhere.
            kept: Which they are, ascending.
        """
        arrays, bars = arrays_of(columns), self.num_bars
        owner = np.asarray(self.classes)[kept[bars:] - bars]
        scores = self._scored(columns[bars:])
        whole = arrays.zeros(self.num_classes, *columns.shape[1:], like=columns)
        for own in np.unique(owner):
            (places,) = np.nonzero(owner == own)
            whole[int(own)] = arrays.amax(scores[places.tolist()], 0)[0]
        if bars and self.thresholds[0] is not None:
            whole[0] = arrays.amax(_stacked([whole[0], columns[0]]), 0)[0]
        return whole

    def _scored(self, columns: Float[Array, "q y x"]) -> Float[Array, "q y x"]:
        if self.scale is None:
            return columns
        return arrays_of(columns).softmax(self.scale * columns, 0)


def decide_by(
    rule: Rule, queries: Queries, thresholds: Sequence[float | None], scale: float
) -> Decision:
    """Return how a rule decides between queries.

    Args:
        rule: The rule.
        queries: What is asked for.
        thresholds: Background thresholds; they make no difference where there is no background.
        scale: Factor of the cosines.
    """
    return Decision(
        classes=queries.classes,
        num_classes=queries.num_classes,
        background=rule.background if queries.has_background else "none",
        thresholds=tuple(thresholds),
        scale=scale if rule.scores == "pixel_softmax" else None,
        least_area=rule.least_area,
    )


def score_table(scores: Float[Array, "b r q"], decision: Decision) -> Float[Array, "b r k"]:
    """Put the bars of a decision's thresholds in front of the queries' scores."""
    if not decision.num_bars:
        return scores
    bars = [background_bar(scores, each or 0.0) for each in decision.thresholds]
    return arrays_of(scores).concat([*bars, scores], -1)


def _stacked(parts: Sequence[Any]) -> Any:
    return arrays_of(parts[0]).concat([part[None] for part in parts], 0)
