"""What prototypes did in one photo: each stage's groups, prototypes, pairs and EM steps."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

from pgseg_core.config import NprConfig
from pgseg_core.figures.probe import Probe
from pgseg_core.networks.grouping import GroupingOutput
from pgseg_core.npr import (
    cosine_similarity,
    e_step,
    m_step,
    match,
    match_greedily,
    match_in_order,
    reliable_pairs,
    take_matched,
)


@dataclass(frozen=True)
class StageView:
    """One grouping stage of one image, on the patch grid."""

    group_map: Integer[np.ndarray, "h w"]
    """The group that each patch belongs to."""
    num_groups: int
    """Groups of the stage (g), empty ones included."""
    responsibility: Float[np.ndarray, "k h w"] | None = None
    """Share of each patch that each prototype explains; sums to 1 over k. None: no prototypes."""
    matched: Integer[np.ndarray, " g"] | None = None
    """The prototype paired with each group; -1 for a group without one."""
    similarity: Float[np.ndarray, " g"] | None = None
    """Cosine between each group and its prototype."""
    kept: Bool[np.ndarray, " g"] | None = None
    """Whether hard rejection kept the pair."""

    @property
    def has_prototypes(self) -> bool:
        """Whether there is a prototype to show beside a group."""
        return self.responsibility is not None and self.matched is not None

    def prototype(self, group: int) -> int | None:
        """Return the prototype paired with a group, if there is one."""
        if self.matched is None or self.matched[group] < 0:
            return None
        return int(self.matched[group])


@dataclass(frozen=True)
class EmStep:
    """Prototypes after one iteration of EM on one image."""

    owner: Integer[np.ndarray, "h w"]
    """The prototype most responsible for each patch, before the prototypes move."""
    movement: float
    """Mean of 1 - cosine between the prototypes before and after they move, from 0 to 2."""
    likelihood: float
    """Mean over tokens of log(mean over prototypes of exp(p v)): what EM makes grow."""


def view_stages(seen: Probe, npr: NprConfig) -> tuple[StageView, ...]:
    """Describe every grouping stage on the patch grid.

    Later stages group groups, so their maps and responsibilities are carried back to the patches
    through the soft assignments before them.

    Args:
        seen: A photo.
        npr: How the model pairs groups and prototypes, and which pairs it rejects.
    """
    return tuple(_view(seen, number, stage, npr) for number, stage in enumerate(seen.output.stages))


def em_steps(seen: Probe, number: int, iterations: int) -> Iterator[EmStep]:
    """Yield what each iteration of EM did in a stage, from the bank on (Algorithm 1, 1 to 2).

    Args:
        seen: A photo.
        number: The stage, from 0; it must have prototypes.
        iterations: How many; the model itself runs `npr.iterations`.
    """
    stage = seen.stages[number]
    assert stage.stage.prototypes is not None, "the stage has no prototypes"
    source = stage.entering[None]
    prototypes = stage.stage.prototypes.bank.float().cpu()[None]
    onto_patches = seen.onto_patches(number)
    for _ in range(iterations):
        responsibility = e_step(source, prototypes)
        owner = (responsibility[0] @ onto_patches).argmax(dim=0).unflatten(0, seen.grid)
        moved = m_step(source, responsibility)
        yield EmStep(
            owner=owner.numpy(),
            movement=float(1 - F.cosine_similarity(prototypes, moved, dim=-1).mean()),
            likelihood=_likelihood(source, moved),
        )
        prototypes = moved


def _likelihood(source: Float[Tensor, "1 m d"], prototypes: Float[Tensor, "1 k d"]) -> float:
    scores = source @ prototypes.mT  # (1, m, k)
    return float((scores.logsumexp(dim=-1) - np.log(scores.shape[-1])).mean())


def _match(similarity: Float[Tensor, "1 g k"], npr: NprConfig) -> Int[Tensor, "1 g"]:
    """Pair groups and prototypes as the model's training does."""
    maximise = npr.variant == "paper"
    if npr.matching == "hungarian":
        return match(similarity, maximise=maximise)
    if npr.matching == "greedy":
        return match_greedily(similarity, maximise=maximise)
    return match_in_order(similarity)


def _view(seen: Probe, number: int, stage: GroupingOutput, npr: NprConfig) -> StageView:
    group_map = seen.group_of_patch(number).unflatten(0, seen.grid).numpy()
    num_groups = stage.soft.shape[1]
    estimate = stage.estimate
    if estimate is None:
        return StageView(group_map=group_map, num_groups=num_groups)
    responsibility = estimate.responsibility[0].float().cpu() @ seen.onto_patches(number)
    queries = stage.queries.float()
    similarity = cosine_similarity(queries, estimate.prototypes)
    matched = _match(similarity, npr)
    similarity = take_matched(similarity, matched)
    kept, _ = reliable_pairs(similarity, threshold=npr.threshold, variant=npr.variant)
    return StageView(
        group_map=group_map,
        num_groups=num_groups,
        responsibility=responsibility.unflatten(1, seen.grid).numpy(),
        matched=matched[0].cpu().numpy(),
        similarity=similarity[0].diagonal().cpu().numpy(),
        kept=kept[0].cpu().numpy(),
    )
