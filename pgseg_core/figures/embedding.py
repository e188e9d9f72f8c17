"""Patch features on a plane, coloured by group and by ground truth: the paper's compactness figure.

Two models side by side are two panels with the same photos. A number beside each says what the
plane can only suggest: how much of the features' variance the colours explain (`compactness` of
the evaluation, in the features' own space).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgseg_core.data.segmentation import BACKGROUND
from pgseg_core.errors import ConfigError, DataError, PgsegError, did_you_mean
from pgseg_core.evaluation.metrics.quality import compactness
from pgseg_core.figures.grid import Key, draw_key, key_height
from pgseg_core.figures.probe import Probe
from pgseg_core.viz.palette import RGB, class_colours, palette
from pgseg_core.viz.regions import resize_labels
from pgseg_core.viz.sheet import HEADING, LINE, MARGIN, QUIET, SMALL, TWO_COLUMNS, Sheet, unit

METHODS = ("tsne", "pca")
MOST_PATCHES = 6000
"""More patches are thinned evenly: a t-SNE of so many takes about a minute."""

_GREY: RGB = (190, 190, 190)
_MARKERS = "os^DvP<X>*"
_MOST_COLOURED = 12
_BAND = 0.34  # inches above a panel


@dataclass(frozen=True)
class Patches:
    """The patches of some photos in one model."""

    features: Float[np.ndarray, "n d"]
    groups: Integer[np.ndarray, " n"]
    """The group of each patch."""
    truth: Integer[np.ndarray, " n"] | None = None
    """Its class in the ground truth, -1 where there is none; None without ground truth."""


@dataclass(frozen=True)
class Panel:
    """One model's patches on the plane."""

    model: str
    points: Float[np.ndarray, "n 2"]
    patches: Patches


def take_patches(
    seen: Sequence[Probe], number: int, truths: Sequence[np.ndarray | None]
) -> Patches:
    """Collect the patches of some photos, as the first grouping block sees them.

    Args:
        seen: Photos.
        number: The stage, from 0, whose groups they belong to.
        truths: Each photo's ground truth, labels at its own size, or None.
    """
    features = np.concatenate([one.stages[0].patches.numpy() for one in seen])
    groups = np.concatenate([one.group_of_patch(number).numpy() for one in seen])
    known = [
        resize_labels(truth, one.grid).ravel()
        for one, truth in zip(seen, truths, strict=True)
        if truth is not None
    ]
    truth = np.concatenate(known) if len(known) == len(seen) else None
    step = -(-len(features) // MOST_PATCHES)
    kept = slice(None, None, step)
    return Patches(features[kept], groups[kept], None if truth is None else truth[kept])


def embed(
    features: Float[np.ndarray, "n d"], *, method: str = METHODS[0], seed: int = 0
) -> Float[np.ndarray, "n 2"]:
    """Lay features on a plane.

    Args:
        features: One row a patch.
        method: One of `METHODS`.
        seed: Of t-SNE.

    Raises:
        ConfigError: An unknown method.
        DataError: Too few patches for t-SNE.
        PgsegError: scikit-learn, which t-SNE needs, is not installed.
    """
    if method not in METHODS:
        raise ConfigError(f"no method called '{method}'", hint=did_you_mean(method, METHODS))
    if method == "pca":
        return _principal(features, 2)
    if len(features) < 16:
        raise DataError(
            f"{len(features)} patches are too few for t-SNE", hint="Give more photos, or try pca."
        )
    try:
        from sklearn.manifold import TSNE  # noqa: PLC0415 (an extra)
    except ImportError:
        raise PgsegError(
            "t-SNE needs scikit-learn", hint="pip install 'pgseg[viz]'   or: --method pca"
        ) from None
    reduced = _principal(features, min(50, *features.shape))
    perplexity = min(30.0, (len(features) - 1) / 4)
    model = TSNE(init="pca", perplexity=perplexity, random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(reduced), dtype=np.float64)


def draw_embedding(
    panels: Sequence[Panel], class_names: Sequence[str] | None, *, width: float = TWO_COLUMNS
) -> Figure:
    """Draw one column a model: patches coloured by group and, where known, by ground truth.

    Args:
        panels: The models; at least one.
        class_names: Of the ground truth; None without one.
        width: Of the figure, in inches. A narrow figure puts what belongs together below each
            other.
    """
    with_truth = class_names is not None and all(p.patches.truth is not None for p in panels)
    kinds = ("groups", "ground truth") if with_truth else ("groups",)
    shown = [(panel, kind) for panel in panels for kind in kinds]
    columns = min(len(shown), 4 if width >= 5 else 2)
    side = (width - 2 * MARGIN - 0.1 * (columns - 1)) / columns
    side = min(side, 2.6)
    rows = -(-len(shown) // columns)
    classes = _class_colours(panels, class_names or ()) if with_truth else {}
    key = Key(
        names=[(colour, (class_names or ())[label]) for label, colour in classes.items()],
        note="One dot a patch. Compactness: share of variance between colours"
        + ("; a group's colour is its own" if width >= 5 else ""),
    )
    pictures = MARGIN + rows * (side + _BAND)
    sheet = Sheet(width, pictures + key_height(key, width) + MARGIN)
    for place, (panel, kind) in enumerate(shown):
        row, column = divmod(place, columns)
        left = MARGIN + column * (side + 0.1)
        top = MARGIN + row * (side + _BAND) + _BAND - 0.05
        labels = panel.patches.groups if kind == "groups" else panel.patches.truth
        assert labels is not None
        score = compactness(panel.patches.features[labels >= 0], labels[labels >= 0])
        sheet.words(panel.model, (left, top - 0.16), HEADING, room=side, weight="bold")
        about = f"{kind}: compactness {score:.2f}"
        sheet.words(about, (left, top - 0.05), SMALL, room=side + 0.05, color=QUIET)
        axes = sheet.axes((left, top), (side, side))
        colours = classes if kind != "groups" else _group_colours(labels)
        _scatter(axes, panel.points, labels, colours, size=_dot(len(labels), side))
    draw_key(sheet, key, pictures)
    return sheet.figure


def _scatter(
    axes: Axes,
    points: Float[np.ndarray, "n 2"],
    labels: Integer[np.ndarray, " n"],
    colours: dict[int, RGB],
    *,
    size: float,
) -> None:
    """Plot the patches; those without a colour lie below in grey, shapes tell alike ones apart."""
    rest = ~np.isin(labels, list(colours))
    style: dict[str, Any] = {"linewidths": 0, "alpha": 0.75, "rasterized": True}
    axes.scatter(points[rest, 0], points[rest, 1], s=0.6 * size, color=unit(_GREY), **style)
    for place, (label, colour) in enumerate(colours.items()):
        own = points[labels == label]
        marker = _MARKERS[place % len(_MARKERS)]
        axes.scatter(own[:, 0], own[:, 1], s=size, color=unit(colour), marker=marker, **style)
    axes.set(xticks=[], yticks=[])
    axes.margins(0.04)
    for spine in axes.spines.values():
        spine.set(linewidth=0.5, color=LINE)


def _dot(count: int, side: float) -> float:
    """Area of a dot in square points: smaller where there are many."""
    return float(np.clip(2600 * side / max(count, 1), 1.2, 9))


def _group_colours(labels: Integer[np.ndarray, " n"]) -> dict[int, RGB]:
    numbers, counts = np.unique(labels, return_counts=True)
    order = numbers[np.argsort(-counts, kind="stable")][:_MOST_COLOURED]
    return dict(zip(order.tolist(), palette(), strict=False))


def _class_colours(panels: Sequence[Panel], class_names: Sequence[str]) -> dict[int, RGB]:
    """Give the most frequent classes of all panels their colours, the same in every figure."""
    background = class_names[0].casefold() == BACKGROUND
    table = class_colours(len(class_names), background=background).tolist()
    labels = np.concatenate([p.patches.truth for p in panels if p.patches.truth is not None])
    frequent = _group_colours(labels[labels >= 0])
    return {label: (table[label][0], table[label][1], table[label][2]) for label in frequent}


def _principal(features: Float[np.ndarray, "n d"], count: int) -> Float[np.ndarray, "n k"]:
    """Project on the first principal components, the largest entry of each positive."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:count]
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    points = centred @ axes.T
    return np.pad(points, ((0, 0), (0, max(0, count - points.shape[1]))))
