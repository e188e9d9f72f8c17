"""How much of its region each group token knows: its similarity to every patch of its group.

The paper's richness figure. A token that stands for a part of its object alone is like few of its
patches; a richer one is like all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from pgseg_core.figures.grid import Grid, Key, Row, Tile, draw_grid
from pgseg_core.figures.probe import Probe
from pgseg_core.figures.tiles import heat_tile, outlined, photo_pixels
from pgseg_core.viz.sheet import TWO_COLUMNS

SPACES = ("assignment", "tokens")
"""Where similarity is taken: between the query and key that decide the assignment, or between the
group token and the normalised patch themselves."""


@dataclass(frozen=True)
class Richness:
    """One photo in one model."""

    similarity: Float[np.ndarray, "h w"]
    """Cosine of each patch and the token of the group it belongs to."""
    group_map: Integer[np.ndarray, "h w"]
    """That group."""

    @property
    def mean(self) -> float:
        """Mean similarity over the patches, from -1 to 1."""
        return float(self.similarity.mean())

    @property
    def evenness(self) -> float:
        """Spread of the similarity inside a group: mean standard deviation, weighted by patches."""
        groups = self.group_map.ravel()
        values = self.similarity.ravel()
        return float(
            sum(values[groups == g].std() * (groups == g).mean() for g in np.unique(groups))
        )


def measure_richness(seen: Probe, number: int, *, space: str = SPACES[0]) -> Richness:
    """Compare the patches of a photo with the tokens of their groups.

    At a later stage, which groups groups, a patch has the similarity of the group it went into.

    Args:
        seen: A photo.
        number: The stage, from 0.
        space: One of `SPACES`.
    """
    stage = seen.stages[number]
    tokens, patches = (
        (stage.assign_query, stage.assign_key)
        if space == "assignment"
        else (stage.queries, stage.patches)
    )
    cosine = F.normalize(tokens, dim=-1) @ F.normalize(patches, dim=-1).mT  # (g, m)
    own = cosine.gather(0, stage.soft.argmax(dim=0)[None])[0]  # (m,)
    entered = seen.group_of_patch(number - 1) if number else torch.arange(len(own))
    group = stage.soft.argmax(dim=0)[entered]
    return Richness(_grid(own[entered], seen), _grid(group, seen))


def draw_richness(
    photos: Sequence[Image.Image],
    models: Sequence[tuple[str, Sequence[Richness]]],
    *,
    width: float = TWO_COLUMNS,
) -> Figure:
    """Draw photos in rows and models in columns, on one scale.

    Args:
        photos: As the models saw them.
        models: Each model's name, and its measure of every photo.
        width: Of the figure, in inches.
    """
    values = np.concatenate([one.similarity.ravel() for _, own in models for one in own])
    least, most = (float(value) for value in np.quantile(values, [0.01, 0.99]))
    per_row = 1 if width < 5 or len(models) > 2 else 2  # photos beside each other
    tiles = []
    for index, photo in enumerate(photos):
        pixels = photo_pixels(photo)
        tiles.append(Tile(pixels))
        for _, own in models:
            heat = heat_tile(pixels, own[index].similarity, least=least, most=most, smooth=False)
            caption = f"mean {own[index].mean:.2f}, within ±{own[index].evenness:.2f}"
            tiles.append(Tile(outlined(heat, own[index].group_map), (caption,)))
    per_row = min(per_row, len(photos))
    columns = per_row * (1 + len(models))
    rows = [Row(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    key = Key(
        heat=("cosine, patch and its token", f"{least:.2f}", f"{most:.2f}"),
        note="White lines part the groups",
    )
    headings = ("Photo", *(name for name, _ in models)) * per_row
    return draw_grid(Grid(rows, headings, key), width=width).figure


def _grid(values: Tensor, seen: Probe) -> np.ndarray:
    return values.unflatten(0, seen.grid).numpy()
