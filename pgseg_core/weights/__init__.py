"""Weights by name; those that ship with pgseg lie in folders beside this file."""

from pgseg_core.weights.catalogue import (
    CARD,
    CHECKPOINTS,
    RUNS,
    WEIGHTS,
    Recommended,
    WeightsCard,
    cache_folder,
    find_weights,
    list_checkpoints,
    list_weights,
    recommended_inference,
    weights_hash,
    weights_name,
)

__all__ = [
    "CARD",
    "CHECKPOINTS",
    "RUNS",
    "WEIGHTS",
    "Recommended",
    "WeightsCard",
    "cache_folder",
    "find_weights",
    "list_checkpoints",
    "list_weights",
    "recommended_inference",
    "weights_hash",
    "weights_name",
]
