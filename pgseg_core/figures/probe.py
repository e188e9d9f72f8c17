"""One photo through the encoder in one window, with what its forward pass does not return.

Figures need tokens on their way (what EM and the grouping blocks see, queries and keys of
attention). They are noted by hooks that live for one pass, so that the model carries nothing for
the sake of pictures.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn

from pgseg_core.inference.preprocess import size_photo, to_window
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.methods.groups import as_groups
from pgseg_core.networks.blocks.layers import Block
from pgseg_core.networks.grouping import ImageOutput
from pgseg_core.networks.grouping.image_encoder import Stage


@dataclass(frozen=True)
class Attention:
    """Queries and keys of an attention, a heads apart."""

    query: Float[Tensor, "a q c"]
    key: Float[Tensor, "a k c"]

    @classmethod
    def of(cls, query: Float[Tensor, "q d"], key: Float[Tensor, "k d"], heads: int) -> "Attention":
        """Take the heads apart."""
        return cls(*(part.unflatten(1, (heads, -1)).movedim(1, 0) for part in (query, key)))

    def weights(self) -> Float[Tensor, "a q k"]:
        """Return how much each query takes from each key; sums to 1 over the keys."""
        return (self.query @ self.key.mT * self.query.shape[-1] ** -0.5).softmax(dim=-1)


@dataclass(frozen=True)
class StageProbe:
    """Tokens of one grouping stage for one photo; m tokens in, g groups out."""

    stage: Stage
    entering: Float[Tensor, "m d"]
    """As they enter the stage: what EM runs on."""
    patches: Float[Tensor, "m d"]
    """As the grouping block sees them, after the stage's blocks and a normalisation."""
    queries: Float[Tensor, "g d"]
    """Group tokens after the pre-assign cross-attention: what L_PG compares with prototypes."""
    assign_query: Float[Tensor, "g d"]
    """The queries as the assignment compares them with its keys."""
    assign_key: Float[Tensor, "m d"]
    """The patches as the assignment compares them with its queries."""
    soft: Float[Tensor, "g m"]
    """Share of each token in each group; sums to 1 over g."""
    blocks: tuple[Attention, ...]
    """Self-attention of every block before the grouping, over m tokens and then g group tokens."""
    pre_assign: Attention
    """Cross-attention of the group tokens to the patches before the assignment."""


@dataclass(frozen=True)
class Probe:
    """A photo as the model saw it, and all of its grouping stages."""

    photo: Image.Image
    output: ImageOutput
    stages: tuple[StageProbe, ...]
    grid: tuple[int, int]
    """Rows and columns of the patches (n of them)."""

    def onto_patches(self, number: int) -> Float[Tensor, "m n"]:
        """Return the soft share of each patch in each token that enters a stage."""
        share = torch.eye(self.grid[0] * self.grid[1])
        for before in self.stages[:number]:
            share = before.soft @ share
        return share

    def groups_on_patches(self, number: int) -> Float[Tensor, "g n"]:
        """Return the soft share of each patch in each group of a stage."""
        return self.stages[number].soft @ self.onto_patches(number)

    def group_of_patch(self, number: int) -> Int[Tensor, " n"]:
        """Return the group of a stage that each patch belongs to."""
        return self.groups_on_patches(number).argmax(dim=0)


@torch.inference_mode()
def probe(segmenter: Segmenter, photo: Image.Image) -> Probe:
    """Encode a photo in one window; its short side becomes that of the model's windows.

    Args:
        segmenter: The model.
        photo: RGB.
    """
    method = as_groups(segmenter.method, "this figure")
    encoder = method.network.image_encoder
    stages = [cast("Stage", stage) for stage in encoder.stages]
    sized = size_photo(photo, to_window(segmenter.reading))
    named = {
        f"{number}.{name}": module
        for number, stage in enumerate(stages)
        for name, module in _watched(stage).items()
    }
    with _noted(named) as notes:
        output = method.encode(sized.pixels[None])
    probes = tuple(
        _stage(stage, number, output, {name: note.float().cpu()[0] for name, note in notes.items()})
        for number, stage in enumerate(stages)
    )
    return Probe(Image.fromarray(sized.photo), output, probes, output.grid)


def _watched(stage: Stage) -> dict[str, nn.Module]:
    """Name the modules of a stage whose outputs (of the stage itself: input) are noted."""
    grouping = stage.grouping
    return {
        "entering": stage,
        "assign_query": grouping.assign.q_proj,
        "assign_key": grouping.assign.k_proj,
        "cross_query": grouping.pre_assign.attn.q_proj,
        "cross_key": grouping.pre_assign.attn.k_proj,
        **{f"block{index}": block.attn.qkv for index, block in enumerate(_blocks(stage))},
    }


@contextmanager
def _noted(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    notes: dict[str, Tensor] = {}
    handles = []
    for name, module in modules.items():

        def note(
            module: nn.Module, inputs: tuple[Any, ...], output: Any, *, name: str = name
        ) -> None:
            notes[name] = inputs[0] if isinstance(module, Stage) else output

        handles.append(module.register_forward_hook(note))
    try:
        yield notes
    finally:
        for handle in handles:
            handle.remove()


def _stage(
    stage: Stage, number: int, output: ImageOutput, notes: Mapping[str, Tensor]
) -> StageProbe:
    own = {
        name.partition(".")[2]: note
        for name, note in notes.items()
        if name.startswith(f"{number}.")
    }
    heads = stage.grouping.pre_assign.attn.num_heads
    grouped = output.stages[number]
    return StageProbe(
        stage=stage,
        entering=own["entering"],
        patches=grouped.patches[0].float().cpu(),
        queries=grouped.queries[0].float().cpu(),
        assign_query=own["assign_query"],
        assign_key=own["assign_key"],
        soft=grouped.soft[0].float().cpu(),
        blocks=tuple(
            _self_attention(own[f"block{index}"], block.attn.num_heads)
            for index, block in enumerate(_blocks(stage))
        ),
        pre_assign=Attention.of(own["cross_query"], own["cross_key"], heads),
    )


def _self_attention(together: Float[Tensor, "t qkv"], heads: int) -> Attention:
    query, key, _ = together.chunk(3, dim=-1)
    return Attention.of(query, key, heads)


def _blocks(stage: Stage) -> list[Block]:
    return [cast("Block", block) for block in stage.blocks]
