"""The sets by name: which tree each is read from, and what its mask values mean."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from pgseg_core.data.segmentation.coco import (
    STUFF_IDS,
    THING_IDS,
    find_instances,
    open_instances,
)
from pgseg_core.data.segmentation.imagenet_s import open_imagenet_s
from pgseg_core.data.segmentation.instances import InstanceSet
from pgseg_core.data.segmentation.lvis import open_lvis
from pgseg_core.data.segmentation.pascal_context import ANNOTATIONS, open_context_file
from pgseg_core.data.segmentation.sets import (
    BACKGROUND,
    IGNORE_LABEL,
    MANY_IGNORE_LABEL,
    IndexMaskSet,
    MaskFiles,
)
from pgseg_core.data.segmentation.sources import where_to_get
from pgseg_core.data.segmentation.trees import (
    Layout,
    class_names_of,
    listed_files,
    paired_files,
    read_class_names,
    refuse_missing,
)
from pgseg_core.errors import ConfigError, DataError, did_you_mean
from pgseg_core.vocabularies import vocabulary_text

Unlabelled = Literal["background", "ignore"]
"""What pixels without any label are: background, or not counted. A choice of `WITH_UNLABELLED`."""

BenchmarkSet = IndexMaskSet | InstanceSet
"""A set that is read from files."""

_NO_LABEL = {IGNORE_LABEL: IGNORE_LABEL}


def _foreground(vocabulary: str) -> tuple[str, ...]:
    return class_names_of(vocabulary_text(vocabulary))


VOC12_CLASSES = (BACKGROUND, *_foreground("voc12"))
"""Pascal VOC's own class names, in the order of its masks."""


def open_segmentation_set(
    name: str, root: Path, *, unlabelled: Unlabelled | None = None
) -> BenchmarkSet:
    """Open a set and check that all of it is there.

    Args:
        name: One of `SEGMENTATION_SETS`. `folder` and `scenes` are `images/`, `masks/*.png` and
            `classes.txt`; a first class called background is the background.
        root: The set's folder.
        unlabelled: Of `WITH_UNLABELLED` only. When None, background for coco-object, as published,
            and ignore for lvis, which says of each photo only what some classes are.

    Raises:
        DataError: No such kind of set, or files are missing; lists the first, counts all and says
            where the set is obtained.
        ConfigError: `unlabelled` for a set without that choice.
    """
    if name not in _OPENERS:
        raise _unknown(name)
    if unlabelled is not None and name not in WITH_UNLABELLED:
        raise ConfigError(
            f"--unlabelled is a choice of {' and '.join(WITH_UNLABELLED)}, not of {name}",
            hint="Leave it out.",
        )
    if not root.is_dir():
        raise DataError(
            f"{name}: the folder {root} does not exist",
            hint=where_to_get(name, after="Check the path."),
        )
    try:
        if name == "coco-object":
            return _open_coco_object(name, root, unlabelled or "background")
        if name == "lvis":
            return open_lvis(name, root, background=unlabelled == "background")
        return _OPENERS[name](name, root)
    except DataError as error:
        raise DataError(error.message, hint=where_to_get(name, after=error.hint or "")) from error


def without_root(name: str) -> DataError:
    """Return what is wrong with a set that was named without its folder."""
    if name not in _OPENERS:
        return _unknown(name)
    return DataError(f"where is {name}?", hint="Name its folder: --data-root DIR")


def _unknown(name: str) -> DataError:
    return DataError(f"no segmentation set called '{name}'", hint=did_you_mean(name, _OPENERS))


def parse_unlabelled(value: str | None) -> Unlabelled | None:
    """Check what a user gave for `--unlabelled`.

    Raises:
        ConfigError: It is none of the choices.
    """
    for choice in get_args(Unlabelled):
        if value == choice:
            return choice
    if value is not None:
        raise ConfigError(
            f"--unlabelled: no choice called '{value}'",
            hint=did_you_mean(value, get_args(Unlabelled)),
        )
    return None


def recognise_set(root: Path) -> BenchmarkSet | None:
    """Return the first set, in the order of `SEGMENTATION_SETS`, whose tree this folder is."""
    for name in _OPENERS:
        try:
            return open_segmentation_set(name, root)
        except DataError:
            continue
    return None


def _open_voc12(name: str, root: Path) -> BenchmarkSet:
    root = _inner(root, "ImageSets", ("VOC2012", "VOCdevkit/VOC2012"))
    files = listed_files(
        name,
        root,
        images="JPEGImages",
        masks="SegmentationClass",
        listing="ImageSets/Segmentation/val.txt",
    )
    return _with_or_without_background(name, "voc12", files, background=name == "voc12")


def _open_context(name: str, root: Path) -> BenchmarkSet:
    root = _inner(root, "JPEGImages", ("VOC2010", "VOCdevkit/VOC2010"))
    background = name == "context60"
    if (root / ANNOTATIONS).is_file() and not (root / "SegmentationClassContext").is_dir():
        return open_context_file(name, root, _foreground("context"), background=background)
    files = listed_files(
        name,
        root,
        images="JPEGImages",
        masks="SegmentationClassContext",
        listing="ImageSets/SegmentationContext/val.txt",
        otherwise=f"{ANNOTATIONS} with JPEGImages/*.jpg",
    )
    return _with_or_without_background(name, "context", files, background=background)


def _with_or_without_background(
    name: str, vocabulary: str, files: tuple[MaskFiles, ...], *, background: bool
) -> BenchmarkSet:
    """Masks whose 0 is background: kept as a class, or not counted and the others moved down."""
    classes = _foreground(vocabulary)
    if background:
        return IndexMaskSet(name, (BACKGROUND, *classes), vocabulary, files)
    labels = {0: IGNORE_LABEL, **{value + 1: value for value in range(len(classes))}, **_NO_LABEL}
    return IndexMaskSet(name, classes, vocabulary, files, labels=labels)


def _open_ade20k(name: str, root: Path) -> BenchmarkSet:
    root = _inner(root, "annotations", ("ADEChallengeData2016",))
    classes = _foreground("ade20k")
    labels = {0: IGNORE_LABEL, **{value + 1: value for value in range(len(classes))}}
    layouts = {
        Layout("images/validation", "annotations/validation"): labels,
        Layout("images", "annotations"): labels,
    }
    return _open_first(name, root, classes, "ade20k", layouts)


def _open_cityscapes(name: str, root: Path) -> BenchmarkSet:
    image, train_ids, ids = (
        *("_leftImg8bit.png", "_gtFine_labelTrainIds.png"),
        "_gtFine_labelIds.png",
    )
    trained = {**{value: value for value in range(len(_CITYSCAPES_IDS))}, **_NO_LABEL}
    every = dict.fromkeys(range(-1, 34), IGNORE_LABEL)
    every |= {value: label for label, value in enumerate(_CITYSCAPES_IDS)}
    layouts = {
        Layout("leftImg8bit/val", "gtFine/val", image, train_ids): trained,
        Layout("leftImg8bit/val", "gtFine/val", image, ids): every,
        Layout(".", ".", image, train_ids): trained,
        Layout(".", ".", image, ids): every,
    }
    return _open_first(name, root, _foreground("cityscapes"), "cityscapes", layouts)


def _open_camvid(name: str, root: Path) -> BenchmarkSet:
    classes = _foreground("camvid")
    labels = {
        **{value: value for value in range(len(classes))},
        len(classes): IGNORE_LABEL,
        **_NO_LABEL,
    }
    layouts = {Layout("images", "labels"): labels, Layout("test", "testannot"): labels}
    return _open_first(name, root, classes, "camvid", layouts)


def _open_coco_object(name: str, root: Path, unlabelled: Unlabelled) -> BenchmarkSet:
    classes = (BACKGROUND, *_foreground("coco-object"))
    nothing = {"background": 0, "ignore": IGNORE_LABEL}[unlabelled]
    things = {identity: label for label, identity in enumerate(THING_IDS, start=1)}
    by_id = {**dict.fromkeys(range(1, _LAST_PANOPTIC_ID + 1), 0), **things, 0: nothing}
    by_place = {identity - 1: label for identity, label in by_id.items() if identity}
    by_place[IGNORE_LABEL] = nothing
    trained = {value: value + 1 if value < len(things) else 0 for value in range(len(_COCO_IDS))}
    trained[IGNORE_LABEL] = nothing
    layouts = _coco_layouts(by_place=by_place, by_id=by_id, trained=trained)
    instances = find_instances(root)
    if instances is not None and not any(layout.fits(root) for layout in layouts):
        return open_instances(name, root, instances, classes, "coco-object", empty=nothing)
    return _open_first(name, root, classes, "coco-object", layouts)


def _open_coco_stuff(name: str, root: Path) -> BenchmarkSet:
    by_id = {identity: label for label, identity in enumerate(_COCO_IDS)}
    by_place = {identity - 1: label for identity, label in by_id.items()} | _NO_LABEL
    trained = {label: label for label in range(len(_COCO_IDS))} | _NO_LABEL
    layouts = _coco_layouts(by_place=by_place, by_id={**by_id, 0: IGNORE_LABEL}, trained=trained)
    return _open_first(name, root, _foreground("coco-stuff"), "coco-stuff", layouts)


def _coco_layouts(
    *, by_place: Mapping[int, int], by_id: Mapping[int, int], trained: Mapping[int, int]
) -> dict[Layout, Mapping[int, int]]:
    """COCO's masks as they are spread: stuff and thing maps (id - 1), train ids, and plain ids."""
    train_ids = "_labelTrainIds.png"
    return {
        Layout("images/val2017", "annotations/val2017", mask_ending=train_ids): trained,
        Layout("images/val2017", "annotations/val2017"): by_place,
        Layout("images/val2017", "stuffthingmaps/val2017"): by_place,
        Layout("val2017", "stuffthingmaps/val2017"): by_place,
        Layout("images", "semantic"): by_id,
    }


def _open_folder(name: str, root: Path) -> BenchmarkSet:
    layout = "images/NAME.jpg (or png, ...), masks/NAME.png, classes.txt (one class a line)"
    parts = [root / "images", root / "masks", root / "classes.txt"]
    refuse_missing(name, root, layout, [part for part in parts if not part.exists()])
    files = paired_files(name, root, Layout("images", "masks"))
    path = root / "classes.txt"
    classes = read_class_names(path)
    ignored = IGNORE_LABEL if len(classes) <= IGNORE_LABEL else MANY_IGNORE_LABEL
    return IndexMaskSet(name, classes, f"@{path}", files, ignore_label=ignored)


def _open_first(
    name: str,
    root: Path,
    classes: tuple[str, ...],
    vocabulary: str,
    layouts: Mapping[Layout, Mapping[int, int]],
) -> BenchmarkSet:
    """Open the first layout that is there.

    Raises:
        DataError: None is, or it is incomplete.
    """
    for layout, labels in layouts.items():
        if layout.fits(root):
            files = paired_files(name, root, layout)
            return IndexMaskSet(name, classes, vocabulary, files, labels=labels)
    raise DataError(
        f"{name}: no images with masks in {root}",
        hint="Expected " + ", or ".join(map(str, layouts)),
    )


def _inner(root: Path, wanted: str, below: Sequence[str]) -> Path:
    """Return the tree itself where its parent's parent was named."""
    trees = (root, *(root / folder for folder in below))
    return next((tree for tree in trees if (tree / wanted).is_dir()), root)


_COCO_IDS = (*THING_IDS, *STUFF_IDS)
_LAST_PANOPTIC_ID = 200
# Ids of the 19 evaluated classes, in the order of their train ids; all others are not counted.
_CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)

_OPENERS: Mapping[str, Callable[[str, Path], BenchmarkSet]] = {
    "voc12": _open_voc12,
    "voc20": _open_voc12,
    "context59": _open_context,
    "context60": _open_context,
    "coco-object": lambda name, root: _open_coco_object(name, root, "background"),
    "coco-stuff": _open_coco_stuff,
    "ade20k": _open_ade20k,
    "cityscapes": _open_cityscapes,
    "camvid": _open_camvid,
    "lvis": lambda name, root: open_lvis(name, root, background=False),
    "imagenet-s": open_imagenet_s,
    "folder": _open_folder,
    "scenes": _open_folder,
}
SEGMENTATION_SETS = tuple(_OPENERS)
"""Every set's name."""
WITH_UNLABELLED = ("coco-object", "lvis")
"""Sets where it is a choice what pixels without any label are."""
