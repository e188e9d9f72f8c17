"""The sets by name: which tree each is read from, and what its mask values mean."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pgseg_core.data.segmentation.coco import (
    STUFF_IDS,
    THING_IDS,
    find_instances,
    open_instances,
)
from pgseg_core.data.segmentation.sets import (
    BACKGROUND,
    IGNORE_LABEL,
    IndexMaskSet,
    MaskFiles,
    SegmentationSet,
)
from pgseg_core.data.segmentation.trees import (
    Layout,
    class_names_of,
    listed_files,
    paired_files,
    read_class_names,
    refuse_missing,
)
from pgseg_core.errors import ConfigError, DataError
from pgseg_core.vocabularies import vocabulary_text

Unlabelled = Literal["background", "ignore"]
"""What COCO-Object's pixels without any label are: background (as published), or not counted."""

_NO_LABEL = {IGNORE_LABEL: IGNORE_LABEL}


def _foreground(vocabulary: str) -> tuple[str, ...]:
    return class_names_of(vocabulary_text(vocabulary))


VOC12_CLASSES = (BACKGROUND, *_foreground("voc12"))
"""Pascal VOC's own class names, in the order of its masks."""


def open_segmentation_set(
    name: str, root: Path, *, unlabelled: Unlabelled | None = None
) -> SegmentationSet:
    """Open a set and check that all of it is there.

    Args:
        name: One of `SEGMENTATION_SETS`. `folder` and `scenes` are `images/`, `masks/*.png` and
            `classes.txt`; a first class called background is the background.
        root: The set's folder.
        unlabelled: Of coco-object only; background when None.

    Raises:
        DataError: No such kind of set, or files are missing; lists the first and counts all.
        ConfigError: `unlabelled` for a set without that choice.
    """
    if name not in _OPENERS:
        raise DataError(
            f"no segmentation set called '{name}'", hint=f"Known sets: {', '.join(_OPENERS)}"
        )
    if not root.is_dir():
        raise DataError(f"{name}: the folder {root} does not exist", hint="Check the path.")
    if name == "coco-object":
        return _open_coco_object(name, root, unlabelled or "background")
    if unlabelled is not None:
        raise ConfigError(
            f"--unlabelled is a choice of coco-object, not of {name}", hint="Leave it out."
        )
    return _OPENERS[name](name, root)


def _open_voc12(name: str, root: Path) -> SegmentationSet:
    root = _inner(root, "ImageSets", ("VOC2012", "VOCdevkit/VOC2012"))
    files = listed_files(
        name,
        root,
        images="JPEGImages",
        masks="SegmentationClass",
        listing="ImageSets/Segmentation/val.txt",
    )
    return _with_or_without_background(name, "voc12", files, background=name == "voc12")


def _open_context(name: str, root: Path) -> SegmentationSet:
    root = _inner(root, "ImageSets", ("VOC2010", "VOCdevkit/VOC2010"))
    files = listed_files(
        name,
        root,
        images="JPEGImages",
        masks="SegmentationClassContext",
        listing="ImageSets/SegmentationContext/val.txt",
    )
    return _with_or_without_background(name, "context", files, background=name == "context60")


def _with_or_without_background(
    name: str, vocabulary: str, files: tuple[MaskFiles, ...], *, background: bool
) -> SegmentationSet:
    """Masks whose 0 is background: kept as a class, or not counted and the others moved down."""
    classes = _foreground(vocabulary)
    if background:
        return IndexMaskSet(name, (BACKGROUND, *classes), vocabulary, files)
    labels = {0: IGNORE_LABEL, **{value + 1: value for value in range(len(classes))}, **_NO_LABEL}
    return IndexMaskSet(name, classes, vocabulary, files, labels=labels)


def _open_ade20k(name: str, root: Path) -> SegmentationSet:
    root = _inner(root, "annotations", ("ADEChallengeData2016",))
    classes = _foreground("ade20k")
    labels = {0: IGNORE_LABEL, **{value + 1: value for value in range(len(classes))}}
    layouts = {
        Layout("images/validation", "annotations/validation"): labels,
        Layout("images", "annotations"): labels,
    }
    return _open_first(name, root, classes, "ade20k", layouts)


def _open_cityscapes(name: str, root: Path) -> SegmentationSet:
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


def _open_camvid(name: str, root: Path) -> SegmentationSet:
    classes = _foreground("camvid")
    labels = {
        **{value: value for value in range(len(classes))},
        len(classes): IGNORE_LABEL,
        **_NO_LABEL,
    }
    layouts = {Layout("images", "labels"): labels, Layout("test", "testannot"): labels}
    return _open_first(name, root, classes, "camvid", layouts)


def _open_coco_object(name: str, root: Path, unlabelled: Unlabelled) -> SegmentationSet:
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
        if unlabelled == "ignore":
            raise ConfigError(
                f"--unlabelled ignore: {instances} does not say which pixels have no label",
                hint="Leave it out, or use the stuff and thing maps.",
            )
        return open_instances(name, root, instances, classes, "coco-object")
    return _open_first(name, root, classes, "coco-object", layouts)


def _open_coco_stuff(name: str, root: Path) -> SegmentationSet:
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


def _open_folder(name: str, root: Path) -> SegmentationSet:
    layout = "images/NAME.jpg (or png, ...), masks/NAME.png, classes.txt (one class a line)"
    parts = [root / "images", root / "masks", root / "classes.txt"]
    refuse_missing(name, root, layout, [part for part in parts if not part.exists()])
    files = paired_files(name, root, Layout("images", "masks"))
    classes = root / "classes.txt"
    return IndexMaskSet(name, read_class_names(classes), f"@{classes}", files)


def _open_first(
    name: str,
    root: Path,
    classes: tuple[str, ...],
    vocabulary: str,
    layouts: Mapping[Layout, Mapping[int, int]],
) -> SegmentationSet:
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

_OPENERS: Mapping[str, Callable[[str, Path], SegmentationSet]] = {
    "voc12": _open_voc12,
    "voc20": _open_voc12,
    "context59": _open_context,
    "context60": _open_context,
    "coco-object": lambda name, root: _open_coco_object(name, root, "background"),
    "coco-stuff": _open_coco_stuff,
    "ade20k": _open_ade20k,
    "cityscapes": _open_cityscapes,
    "camvid": _open_camvid,
    "folder": _open_folder,
    "scenes": _open_folder,
}
SEGMENTATION_SETS = tuple(_OPENERS)
"""Every set's name."""
