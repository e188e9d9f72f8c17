"""Writes scenes as an evaluation set: pictures, index masks and the class list."""

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from pgseg_core.atomic import whole_folder
from pgseg_core.data.scenes.classes import CLASSES
from pgseg_core.data.scenes.scene import render_scene
from pgseg_core.errors import DataError


def write_evaluation_set(
    folder: Path, seed: int, indices: Iterable[int], size: tuple[int, int] = (160, 160)
) -> int:
    """Write a folder with `images/*.png`, `masks/*.png` and `classes.txt`, whole or not at all.

    Masks are palette images whose values are indices into the lines of `classes.txt`; a line is
    a class's name and its synonyms, separated by commas.

    Args:
        folder: Must not exist yet; its parents are made.
        seed: Names the set of scenes.
        indices: Which scenes of it.
        size: Height and width, pixels.

    Returns:
        The number of scenes written.

    Raises:
        DataError: The folder exists, or a scene cannot be rendered.
    """
    if folder.exists():
        raise DataError(
            f"{folder}: exists already", hint="Name a new folder, or remove this one first."
        )
    with whole_folder(folder) as unfinished:
        (unfinished / "images").mkdir()
        (unfinished / "masks").mkdir()
        palette = [part for entry in CLASSES for part in entry.colour]
        count = 0
        for index in indices:
            scene = render_scene(seed, index, size)
            scene.image.save(unfinished / "images" / f"{index:06d}.png")
            mask = Image.fromarray(scene.mask)
            mask.putpalette(palette)
            mask.save(unfinished / "masks" / f"{index:06d}.png")
            count += 1
        lines = [", ".join(entry.words) for entry in CLASSES]
        (unfinished / "classes.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return count
