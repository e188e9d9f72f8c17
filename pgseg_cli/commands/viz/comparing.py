"""What `pgseg viz compare` does once its options are read.

Imports torch, so the command imports it when it runs. It stands apart from the command because
that is a page of options already.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pgseg_cli.commands.viz.drawing import (
    NamedModel,
    figure_path,
    known_labels,
    load_models,
    open_set,
    pick_samples,
    save_all,
)
from pgseg_core.data.segmentation import SegmentationSet
from pgseg_core.errors import ConfigError, did_you_mean
from pgseg_core.evaluation.protocol_segmenter import ProtocolSegmenter
from pgseg_core.evaluation.protocols import Protocol, load_protocol
from pgseg_core.evaluation.regions import Regions, find_mask_file, read_regions
from pgseg_core.evaluation.resolve import Overrides, Question, ask
from pgseg_core.evaluation.thresholds import as_recommended
from pgseg_core.figures.compare import Column, MaskColumn, draw_comparison
from pgseg_core.figures.photos import read_photos
from pgseg_core.inference.segmentation import BACKGROUND
from pgseg_core.text.vocabulary import load_vocabulary
from pgseg_core.viz.palette import own_colours
from pgseg_core.weights import Recommended

PALETTES = ("safe", "own")
"""Colours of classes: told apart by every kind of colour vision, or those of a set's publishers."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The options of `pgseg viz compare`, which explains them."""

    photos: Sequence[str]
    weights: Sequence[Path]
    names: str | None
    classes: str | None
    dataset: str | None
    data_root: Path | None
    images: str | None
    masks: Sequence[str]
    background: bool
    threshold: float | None
    templates: str
    palette: str
    out: Path | None
    width: float
    suffix: str
    limit: int
    device: str


@dataclass(frozen=True)
class _Shown:
    """Photos with their names and what each column says of them."""

    name: str
    keys: Sequence[str]
    photos: Sequence[Image.Image]
    columns: Sequence[Column]
    class_names: Sequence[str]
    background: bool
    colours: UInt8[np.ndarray, "c 3"] | None


def draw(wanted: Comparison) -> None:
    """Segment the photos, draw the figure and write it.

    Raises:
        PgsegError: The options contradict each other, or something is missing or damaged.
    """
    if wanted.palette not in PALETTES:
        raise ConfigError(
            f"--palette: no palette called '{wanted.palette}'",
            hint=did_you_mean(wanted.palette, PALETTES),
        )
    folders = [_mask_folder(text) for text in wanted.masks]
    shown = _of_photos(wanted) if wanted.dataset is None else _of_set(wanted, wanted.dataset)
    path = figure_path(wanted.out, "compare", shown.name, several=False, suffix=wanted.suffix)
    others = [
        MaskColumn(
            name, [_regions(folder, *pair) for pair in zip(shown.keys, shown.photos, strict=True)]
        )
        for name, folder in folders
    ]
    truth = [column for column in shown.columns if column.name == _TRUTH]
    models = [column for column in shown.columns if column.name != _TRUTH]
    figure = draw_comparison(
        shown.photos,
        [*models, *others, *truth],
        shown.class_names,
        background=shown.background,
        colours=shown.colours,
        width=wanted.width,
    )
    save_all(iter([(path, figure)]))


_TRUTH = "Ground truth"


def _of_set(wanted: Comparison, dataset: str) -> _Shown:
    if wanted.photos or wanted.classes:
        raise ConfigError(
            f"--dataset {dataset} has its own photos and classes",
            hint="Drop the photos and --classes, or --dataset. Choose images with --images.",
        )
    images = open_set(dataset, wanted.data_root)
    colours = _colours(wanted.palette, images.vocabulary, images.class_names)
    samples = pick_samples(images, wanted.images, limit=wanted.limit)
    protocol = load_protocol("groupvit")
    columns = []
    for model in _models(wanted):
        question = _question(images, protocol, wanted.threshold, model.segmenter.recommended)
        reader = ProtocolSegmenter(model.segmenter, protocol, question, own_size=True)
        labels = [reader.read(one.image, [question.threshold])[0].numpy() for one in samples]
        columns.append(Column(model.name, labels))
    columns.append(Column(_TRUTH, [known_labels(one, images) for one in samples]))
    return _Shown(
        name=dataset,
        keys=[sample.name for sample in samples],
        photos=[sample.image for sample in samples],
        columns=columns,
        class_names=images.class_names,
        background=images.has_background,
        colours=colours,
    )


def _question(
    images: SegmentationSet, protocol: Protocol, threshold: float | None, recommended: Recommended
) -> Question:
    """Ask as the weights recommend, else as the protocol has it; a given threshold takes theirs."""
    wanted = Overrides()
    if images.has_background and recommended.background is not None:
        wanted = as_recommended(wanted, recommended)
    if threshold is not None:
        if not images.has_background:
            raise ConfigError(
                f"--threshold {threshold:g}: {images.name} has no background class",
                hint="Leave it out.",
            )
        wanted = replace(wanted, background=f"{threshold:g}", background_from="given")
    return ask(images, protocol, wanted)


def _of_photos(wanted: Comparison) -> _Shown:
    if wanted.classes is None and not wanted.masks:
        raise ConfigError(
            "compare what? There are no classes to look for",
            hint='Name them: --classes "sky,road"   or take a set: --dataset scenes',
        )
    found = read_photos(wanted.photos, limit=wanted.limit)
    pictures = [photo.image for photo in found]
    names: tuple[str, ...] = ()
    colours = None
    columns = []
    if wanted.classes is not None:
        vocabulary = load_vocabulary(wanted.classes)
        names = (BACKGROUND, *vocabulary.names) if wanted.background else vocabulary.names
        colours = _colours(wanted.palette, wanted.classes, names)
        for model in _models(wanted):
            bank = model.segmenter.embed_classes(vocabulary, templates=wanted.templates)
            answers = model.segmenter.segment(
                pictures,
                bank,
                background=wanted.background,
                threshold=wanted.threshold,
            )
            columns.append(Column(model.name, [answer.labels for answer in answers]))
    return _Shown(
        name=found[0].name,
        keys=[photo.name for photo in found],
        photos=pictures,
        columns=columns,
        class_names=names,
        background=wanted.background,
        colours=colours,
    )


def _colours(
    palette: str, vocabulary: str, names: Sequence[str]
) -> UInt8[np.ndarray, "c 3"] | None:
    """Return the colours that are asked for; None for the usual ones."""
    return own_colours(vocabulary, names) if palette == "own" else None


def _models(wanted: Comparison) -> list[NamedModel]:
    return load_models(wanted.weights, wanted.names, device=wanted.device)


def _mask_folder(text: str) -> tuple[str, Path]:
    """Read NAME=FOLDER; a folder alone is called by its own name."""
    name, _, folder = text.rpartition("=")
    path = Path(folder)
    if not path.is_dir():
        raise ConfigError(
            f"--masks {text}: {path} is no folder", hint="Write NAME=FOLDER, such as SAM=masks/"
        )
    return name or path.resolve().name, path


def _regions(folder: Path, name: str, photo: Image.Image) -> Regions:
    return read_regions(find_mask_file(folder, name), photo.height, photo.width)
