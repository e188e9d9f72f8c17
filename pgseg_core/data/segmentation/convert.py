"""Any evaluation set as a plain folder: images, index masks and a class file, for any program."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Integer
from PIL import Image

from pgseg_core.atomic import whole_folder
from pgseg_core.data.segmentation.benchmarks import BenchmarkSet
from pgseg_core.data.segmentation.sets import IGNORE_LABEL
from pgseg_core.data.segmentation.trees import class_names_of
from pgseg_core.errors import DataError
from pgseg_core.version import VERSION
from pgseg_core.vocabularies import BUILTIN_VOCABULARIES, vocabulary_text

Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""

RECORD = "set.json"
"""Says what a converted folder was made from."""


@dataclass(frozen=True)
class Converted:
    """What was written."""

    name: str
    images: int
    classes: int
    ignore_label: int


def convert_set(
    dataset: BenchmarkSet,
    out: Path,
    *,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Converted:
    """Write a set as `images/`, `masks/*.png` and `classes.txt`, which `folder` reads.

    Images are copied byte by byte. Masks hold the set's labels: 8 bits with 255 for pixels that are
    not counted, or 16 bits with 65535 where there are more than 255 classes. `classes.txt` has a
    class a line in label order, with its wordings; a background comes first.

    Args:
        dataset: As `open_segmentation_set` returns it.
        out: The folder; it appears whole or not at all.
        overwrite: Whether a folder that is there is replaced.
        on_progress: Told after every image.

    Raises:
        DataError: `out` is there already, or an image or mask is damaged.
    """
    if out.exists() and not overwrite:
        raise DataError(f"{out} is there already", hint="Choose another --out, or --overwrite.")
    names = _unique_names(dataset)
    ignore = IGNORE_LABEL if len(dataset.class_names) <= IGNORE_LABEL else dataset.ignore_label
    with whole_folder(out) as folder:
        for part in ("images", "masks"):
            (folder / part).mkdir()
        for index, (name, path) in enumerate(zip(names, dataset.image_paths, strict=True)):
            mask = dataset[index].mask
            mask = np.where(mask == dataset.ignore_label, ignore, mask)
            _write_mask(folder / "masks" / f"{name}.png", mask, wide=ignore > IGNORE_LABEL)
            shutil.copyfile(path, folder / "images" / f"{name}{path.suffix}")
            if on_progress is not None:
                on_progress(index + 1, len(dataset))
        (folder / "classes.txt").write_text("\n".join(_class_lines(dataset)) + "\n", "utf-8")
        converted = Converted(dataset.name, len(dataset), len(dataset.class_names), ignore)
        record = {"format": "pgseg-set", "pgseg": VERSION, **vars(converted)}
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    return converted


def _unique_names(dataset: BenchmarkSet) -> tuple[str, ...]:
    """Name images by their files, with the folder in front where two files have the same name."""
    paths = dataset.image_paths
    often = Counter(path.stem for path in paths)
    names = tuple(p.stem if often[p.stem] == 1 else f"{p.parent.name}_{p.stem}" for p in paths)
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise DataError(f"{dataset.name}: two images are called {twice}", hint="Rename one.")
    return names


def _write_mask(path: Path, mask: Integer[np.ndarray, "h w"], *, wide: bool) -> None:
    Image.fromarray(mask.astype(np.uint16 if wide else np.uint8)).save(path)


def _class_lines(dataset: BenchmarkSet) -> list[str]:
    """Return a line for each class: as the set's own list has it, with its wordings."""
    if dataset.vocabulary in BUILTIN_VOCABULARIES:
        text = vocabulary_text(dataset.vocabulary)
    elif dataset.vocabulary.startswith("@"):
        text = Path(dataset.vocabulary[1:]).read_text("utf-8-sig")
    else:
        text = ""
    known = {name: line.strip() for line in text.splitlines() for name in class_names_of(line)}
    return [known.get(name, f'"{name}"') for name in dataset.class_names]
