"""Images with one class each, for zero-shot classification: folders as ImageNet's, or shards.

A folder holds a folder of images for each class, below the split's name or right away. Shards are
webdataset tars with KEY.jpg and KEY.cls, the class's number; the list of classes lies beside them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from pgseg_core.data.tar_index import IMAGE_EXTENSIONS, Member, split_name, tar_members
from pgseg_core.errors import DataError
from pgseg_core.photos.images import list_images, read_image

CLASS_LISTS = ("classes.txt", "classnames.txt")
"""Files beside shards that name the classes, one a line."""


@dataclass(frozen=True)
class LabelledImage:
    """One image of a class."""

    name: str
    label: str | int
    """The class's folder, or its number."""
    read: Callable[[], Image.Image]
    """Decodes it to RGB.

    Raises:
        DataError: It cannot be read.
    """


@dataclass(frozen=True)
class LabelledImages:
    """A set of images with one class each."""

    name: str
    images: tuple[LabelledImage, ...]
    folders: tuple[str, ...]
    """The classes' folders, sorted; empty where classes are numbered."""
    class_list: Path | None
    """A list of the classes that lies with the images."""


def open_labelled_images(root: Path, split: str) -> LabelledImages:
    """Open a folder of class folders, or of shards.

    Args:
        root: The folder.
        split: Its part, where the folder has parts: ROOT/SPLIT/CLASS/..., or SPLIT-*.tar.

    Raises:
        DataError: There is no such folder, no image in it, or a shard is damaged.
    """
    if not root.is_dir():
        raise DataError(f"the folder {root} does not exist", hint="Check --data-root.")
    folder = root / split if (root / split).is_dir() else root
    tars = sorted(folder.glob("*.tar"))
    if tars:
        named = [path for path in tars if path.name.startswith(f"{split}-")]
        return _open_shards(root, named or tars)
    classes = sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    images = tuple(
        LabelledImage(str(file.relative_to(folder)), path.name, partial(read_image, file))
        for path in classes
        for file in list_images(path)
    )
    if not images:
        raise DataError(
            f"{folder} has no folder of images",
            hint="Expected CLASS/*.jpg, or shards (*.tar with KEY.jpg and KEY.cls).",
        )
    return LabelledImages(root.name, images, tuple(path.name for path in classes), _listed(root))


def _open_shards(root: Path, tars: Sequence[Path]) -> LabelledImages:
    images = [image for tar in tars for image in _in_shard(tar)]
    if not images:
        raise DataError(
            f"{tars[0]} and {len(tars) - 1} more shards hold no image with a class",
            hint="Expected KEY.jpg (or png, webp) with KEY.cls, the class's number.",
        )
    return LabelledImages(root.name, tuple(images), (), _listed(root))


def _in_shard(path: Path) -> list[LabelledImage]:
    places: dict[str, dict[str, Member]] = {}
    for member in tar_members(path):
        key, extension = split_name(member.name)
        kind = "image" if extension in IMAGE_EXTENSIONS else extension
        places.setdefault(key, {})[kind] = member
    found = []
    for key, parts in places.items():
        if "image" not in parts:
            continue
        if "cls" not in parts:
            raise DataError(
                f"{path}: {key} has no class", hint="Expected KEY.cls, a number, beside the image."
            )
        text = _bytes(path, parts["cls"]).decode("ascii", "replace").strip()
        if not text.isdecimal():
            raise DataError(f"{path}: the class of {key} is '{text}', not a number")
        found.append(LabelledImage(key, int(text), _reader(path, key, parts["image"])))
    return found


def _reader(path: Path, key: str, member: Member) -> Callable[[], Image.Image]:
    return lambda: read_image(_bytes(path, member), name=f"{path}: {key}")


def _bytes(path: Path, member: Member) -> bytes:
    with path.open("rb") as file:
        file.seek(member.offset)
        return file.read(member.size)


def _listed(root: Path) -> Path | None:
    return next((root / name for name in CLASS_LISTS if (root / name).is_file()), None)
