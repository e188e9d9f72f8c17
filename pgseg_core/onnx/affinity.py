"""Group and class vectors to each group's class scores, in numpy (see `inference.affinity`)."""

import numpy as np
from jaxtyping import Float

from pgseg_core.inference.suggest import unit


def class_scores(
    groups: Float[np.ndarray, "b g e"],
    images: Float[np.ndarray, "b e"],
    classes: Float[np.ndarray, "c e"],
    scale: float,
    *,
    top_k: int = 5,
    candidates: str = "image",
) -> Float[np.ndarray, "b g c"]:
    """Score every class for every group: a softmax over all classes times one over the best.

    Args:
        groups: Group vectors, any length.
        images: Window vectors, any length.
        classes: Class vectors, any length.
        scale: 1 / temperature of the contrastive loss.
        top_k: How many classes a window may show.
        candidates: What says which: the `image`'s vector or its best one of the `groups`.
    """
    classes = unit(classes)
    affinity = np.float32(scale) * (unit(groups) @ classes.T)  # (b, g, c)
    fit = unit(images) @ classes.T if candidates == "image" else affinity.max(axis=1)  # (b, c)
    order = np.argsort(-fit, axis=-1, kind="stable")
    among = np.full((len(images), 1, len(classes)), -np.inf, dtype=np.float32)
    np.put_along_axis(among, order[:, None, :top_k], 0, axis=-1)
    return _softmax(affinity) * _softmax(affinity + among)


def with_background(
    scores: Float[np.ndarray, "b g c"], threshold: float
) -> Float[np.ndarray, "b g c_plus_1"]:
    """Put a background class in front: 1 where a group's best stays below the bar, else 0."""
    best = scores.max(axis=-1, keepdims=True)  # (b, g, 1)
    bar = best.max(axis=1, keepdims=True).clip(max=threshold)
    return np.concatenate([(best < bar).astype(scores.dtype), scores], axis=-1)


def _softmax(logits: Float[np.ndarray, "b g c"]) -> Float[np.ndarray, "b g c"]:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = raised / raised.sum(axis=-1, keepdims=True)
    return shares
