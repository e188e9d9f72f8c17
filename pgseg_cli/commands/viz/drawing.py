"""What `pgseg viz` commands have in common: models, photos with ground truth, names of figures.

Imports torch, so the commands import it when they run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from pgseg_cli.console import say
from pgseg_core.data.manifest import newest_prepared
from pgseg_core.data.prepare.synthetic import EVALUATION_FOLDER
from pgseg_core.data.segmentation import (
    SegmentationSample,
    SegmentationSet,
    open_segmentation_set,
    without_root,
)
from pgseg_core.errors import ConfigError, DataError, did_you_mean
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.methods.groups import as_groups
from pgseg_core.train.run_folder import LOG
from pgseg_core.viz.sheet import check_format, save_figure
from pgseg_core.weights import weights_name


@dataclass(frozen=True)
class NamedModel:
    """A model and what figures call it."""

    name: str
    segmenter: Segmenter


def load_models(
    weights: Sequence[Path] | None, names: str | None, *, device: str
) -> list[NamedModel]:
    """Load the models that a call names; the default one where it names none.

    Raises:
        ConfigError: There are not as many names as models.
        CheckpointError: Nothing to load, or it is damaged.
    """
    given = [name.strip() for name in names.split(",")] if names else []
    places: Sequence[Path | None] = weights or [None]
    if given and len(given) != len(places):
        raise ConfigError(
            f"--names has {len(given)} names for {len(places)} models",
            hint='Name each model once, between commas: --names "PGSeg,GroupViT"',
        )
    loaded = [Segmenter.load(place, device=device) for place in places]
    for segmenter in loaded:
        say(f"weights: {weights_name(segmenter.origin)}")
    called = given or distinct_names([_folder(segmenter.origin) for segmenter in loaded])
    return [NamedModel(*pair) for pair in zip(called, loaded, strict=True)]


def load_model(weights: Path | None, *, device: str) -> Segmenter:
    """Load one model; the default one where none is named.

    Raises:
        CheckpointError: Nothing to load, or it is damaged.
    """
    return load_models([weights] if weights else None, None, device=device)[0].segmenter


def open_set(dataset: str, root: Path | None) -> SegmentationSet:
    """Open a set with masks by name.

    Raises:
        DataError: It is not known, or not there.
    """
    if root is None:
        if dataset != "scenes":
            raise without_root(dataset)
        root = newest_prepared(Path()) / EVALUATION_FOLDER
    return open_segmentation_set(dataset, root)


def pick_samples(
    images: SegmentationSet, wanted: str | None, *, limit: int
) -> list[SegmentationSample]:
    """Read the named images of a set, or its first ones.

    Raises:
        DataError: An image is not in the set, or is damaged.
    """
    names = list(images.image_names)
    if wanted is None:
        return [images[index] for index in range(min(limit, len(names)))]
    samples = []
    for name in (part.strip() for part in wanted.split(",")):
        if name not in names:
            raise DataError(
                f"{images.name} has no image '{name}'", hint=did_you_mean(name, names, what="")
            )
        samples.append(images[names.index(name)])
    return samples


def known_labels(sample: SegmentationSample, images: SegmentationSet) -> np.ndarray:
    """Return a ground truth with -1 where there is none."""
    return np.where(sample.mask == images.ignore_label, -1, sample.mask)


def stage_index(segmenter: Segmenter, stage: int | None) -> int:
    """Return a stage counted from 0; the last where none is named.

    Raises:
        ConfigError: The model has not so many.
    """
    network = as_groups(segmenter.method, "--stage").network
    stages = len(network.config.image.num_groups)
    if stage is not None and stage > stages:
        raise ConfigError(
            f"--stage {stage}: the model groups in {stages} stage{'s' if stages > 1 else ''}",
            hint=f"Take 1 to {stages}." if stages > 1 else "Leave it out.",
        )
    return (stage or stages) - 1


def newest_run(root: Path) -> Path:
    """Return the run below a folder that was logged to last.

    Raises:
        DataError: There is none.
    """
    logs = sorted(root.glob(f"*/{LOG}"), key=lambda log: log.stat().st_mtime)
    if not logs:
        raise DataError(
            f"no run under {root}/", hint="Start one (pgseg train), or name a run folder."
        )
    return logs[-1].parent


def parse_place(text: str) -> tuple[float, float]:
    """Read `left,top`.

    Raises:
        ConfigError: It is no pair of numbers.
    """
    try:
        left, top = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"--at {text} is no place", hint="Give left,top, each from 0 to 1: --at 0.5,0.5"
        ) from None
    return left, top


def figure_path(out: Path | None, kind: str, name: str, *, several: bool, suffix: str) -> Path:
    """Say where one photo's figure goes.

    Args:
        out: What the call says: a figure, or a folder where there are several or it has no suffix.
        kind: The command, for names.
        name: The photo's.
        several: Whether the call draws more than one.
        suffix: Of a figure without a name of its own, such as png.

    Raises:
        DataError: The format is none that figures are written in, or several figures were to have
            one name.
    """
    if several and out is not None and out.suffix:
        raise DataError(
            f"--out {out} names one figure, and there are several",
            hint=f"Name a folder: --out {out.with_suffix('')}",
        )
    if several:
        path = (out or Path(kind)) / f"{name}.{suffix}"
    elif out is not None and out.suffix:
        path = out
    else:
        path = (out or Path()) / f"{name}_{kind}.{suffix}"
    check_format(path)
    return path


def save_all(figures: Iterator[tuple[Path, Figure]]) -> None:
    """Write figures as they are drawn, and say where they are."""
    for path, figure in figures:
        save_figure(figure, path)
        say(f"figure: {path}")


def distinct_names(folders: Sequence[Path]) -> list[str]:
    """Call folders by as much of their paths' ends as tells them apart; the same folder alike."""
    parts = [folder.resolve().parts for folder in folders]
    count = 1
    while len({one[-count:] for one in parts}) < len(set(parts)):
        count += 1
    return [Path(*one[-count:]).as_posix() for one in parts]


def _folder(origin: str) -> Path:
    """Return a run's folder from the path of one of its checkpoints."""
    path = Path(origin)
    return path.parent.parent if path.parent.name == "checkpoints" else path
