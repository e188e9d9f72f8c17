"""Non-learnable prototypical regularisation: Algorithm 1 as pure functions."""

from pgseg_core.npr.em import (
    PrototypeEstimate,
    e_step,
    estimate_prototypes,
    m_step,
    normalise_over_features,
    update_bank,
)
from pgseg_core.npr.loss import Variant, group_prototype_loss, reliable_pairs
from pgseg_core.npr.matching import cosine_similarity, match, start_match, take_matched
from pgseg_core.npr.other_matchings import match_greedily, match_in_order

__all__ = [
    "PrototypeEstimate",
    "Variant",
    "cosine_similarity",
    "e_step",
    "estimate_prototypes",
    "group_prototype_loss",
    "m_step",
    "match",
    "match_greedily",
    "match_in_order",
    "normalise_over_features",
    "reliable_pairs",
    "start_match",
    "take_matched",
    "update_bank",
]
