"""One scene: the picture, which class each pixel shows, and what people might say of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pgseg_core.data.scenes.captions import LEAST_THING, Facts, write_captions
from pgseg_core.data.scenes.classes import CLASS_NAMES
from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.photo import develop
from pgseg_core.data.scenes.world import compose
from pgseg_core.errors import DataError

LEAST_SIDE = 16
"""Smallest height or width of a scene, pixels."""


@dataclass(frozen=True)
class Scene:
    """A synthetic photograph with its captions and its exact segmentation."""

    image: Image.Image
    """RGB."""
    mask: NDArray[np.uint8]
    """(h, w) indices into `CLASS_NAMES`; every pixel has one."""
    captions: tuple[str, ...]
    """Five captions; each names one to four of the classes in the mask."""


def render_scene(seed: int, index: int, size: tuple[int, int] = (160, 160)) -> Scene:
    """Render one scene; the same arguments give the same scene everywhere.

    Args:
        seed: Names the set, 0 or greater.
        index: Names the scene within the set, 0 or greater.
        size: Height and width, pixels. Another size is another scene.

    Raises:
        DataError: A negative seed or index, or a side under `LEAST_SIDE`.
    """
    height, width = size
    if seed < 0 or index < 0:
        raise DataError(
            f"scenes: seed {seed} and index {index} must not be negative",
            hint="Use whole numbers from 0.",
        )
    if min(height, width) < LEAST_SIDE:
        raise DataError(
            f"scenes: {height} x {width} is too small",
            hint=f"Use at least {LEAST_SIDE} pixels a side.",
        )
    world = compose(Dice(seed, index, 0), width, height)
    picture = develop(world.canvas.colour, Dice(seed, index, 1))
    mask = world.canvas.label
    area = height * width
    counts = np.bincount(mask.ravel(), minlength=len(CLASS_NAMES)).tolist()
    seen = np.bincount(world.canvas.owner.ravel(), minlength=len(world.things) + 1).tolist()
    facts = Facts(
        shares={
            name: count / area for name, count in zip(CLASS_NAMES, counts, strict=True) if count
        },
        things=tuple(
            thing for thing in world.things if seen[thing.number] >= LEAST_THING * area
        ),
        light=world.canvas.light.name,
    )  # fmt: skip
    return Scene(
        image=Image.fromarray(picture),
        mask=mask,
        captions=write_captions(facts, Dice(seed, index, 2)),
    )


def sample_scene() -> Scene:
    """Render the scene that stands for a photo where none is given; no data set draws its seed."""
    return render_scene(seed=2**32, index=0, size=(240, 320))
