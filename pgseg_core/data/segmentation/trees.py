"""Finding images and their masks in folders, and refusing what is incomplete."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pgseg_core.data.segmentation.sets import MANY_IGNORE_LABEL, MaskFiles
from pgseg_core.errors import DataError
from pgseg_core.photos.images import IMAGE_SUFFIXES

_CLASS_NAME = re.compile(r'\s*(?:"([^"]*)"|([^,:#"]*))')
_SHOWN = 3


@dataclass(frozen=True)
class Layout:
    """Two folders below a set's root whose files belong together by name.

    Attributes:
        images: Folder of the images.
        masks: Folder of the masks.
        image_ending: What an image's name ends in after the common part; empty for any suffix of
            `IMAGE_SUFFIXES`.
        mask_ending: The same for masks.
    """

    images: str
    masks: str
    image_ending: str = ""
    mask_ending: str = ".png"

    def __str__(self) -> str:
        return f"{self.images}/*{self.image_ending or '.jpg'} + {self.masks}/*{self.mask_ending}"

    def fits(self, root: Path) -> bool:
        """Tell whether both folders are there, and a mask of this ending."""
        masks = root / self.masks
        return (root / self.images).is_dir() and any(masks.rglob(f"*{self.mask_ending}"))


def paired_files(name: str, root: Path, layout: Layout) -> tuple[MaskFiles, ...]:
    """Pair the images and masks of a layout, folders below included.

    Raises:
        DataError: An image has no mask, a mask no image, or there is neither.
    """
    images = _by_stem(root / layout.images, layout.image_ending, IMAGE_SUFFIXES)
    masks = _by_stem(root / layout.masks, layout.mask_ending, frozenset({".png"}))
    ending = layout.image_ending or ".jpg"
    missing = [
        root / layout.masks / f"{stem}{layout.mask_ending}" for stem in images if stem not in masks
    ]
    missing += [root / layout.images / f"{stem}{ending}" for stem in masks if stem not in images]
    refuse_missing(name, root, str(layout), missing)
    refuse_empty(name, root / layout.images, images)
    return tuple(MaskFiles(Path(stem).name, images[stem], masks[stem]) for stem in images)


def listed_files(
    name: str, root: Path, *, images: str, masks: str, listing: str, otherwise: str = ""
) -> tuple[MaskFiles, ...]:
    """Pair the images and masks that a text file names, as in Pascal VOC's trees.

    Raises:
        DataError: The list cannot be read or names nothing, or a file it names is missing.
    """
    layout = f"{images}/*.jpg, {masks}/*.png, {listing}"
    layout += f", or {otherwise}" if otherwise else ""
    path = root / listing
    try:
        names = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{name}: {path} cannot be read", hint=f"Expected in {root}: {layout}"
        ) from error
    files = tuple(
        MaskFiles(entry, root / images / f"{entry}.jpg", root / masks / f"{entry}.png")
        for entry in names
    )
    wanted = [path for entry in files for path in (entry.image, entry.mask)]
    refuse_missing(name, root, layout, [path for path in wanted if not path.is_file()])
    refuse_empty(name, path, files)
    return files


def read_class_names(path: Path) -> tuple[str, ...]:
    """Read the first name of every line: the class as the set calls it, without its wordings.

    Raises:
        DataError: The file cannot be read, or names no class or too many.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    names = class_names_of(text)
    if not names:
        raise DataError(f"{path} names no class", hint="Write one class a line, in label order.")
    if len(names) > MANY_IGNORE_LABEL:
        raise DataError(
            f"{path} names {len(names)} classes; a mask holds {MANY_IGNORE_LABEL} at most"
        )
    return names


def class_names_of(text: str) -> tuple[str, ...]:
    """Return the first name of every line of a class file's text."""
    matches = (_CLASS_NAME.match(line) for line in text.splitlines())
    found = [" ".join((match[1] or match[2] or "").split()) for match in matches if match]
    return tuple(filter(None, found))


def refuse_missing(name: str, root: Path, layout: str, missing: Sequence[Path]) -> None:
    """Raise a DataError that counts the missing files and lists the first."""
    if missing:
        names = ", ".join(str(path.relative_to(root)) for path in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise DataError(
            f"{name}: {len(missing)} missing in {root}: {names}{more}", hint=f"Expected: {layout}"
        )


def refuse_empty(name: str, where: Path, files: Sequence[object] | dict[str, Path]) -> None:
    """Raise a DataError where there is no file."""
    if not files:
        raise DataError(f"{name}: {where} names no image", hint="Is the set complete?")


def _by_stem(folder: Path, ending: str, suffixes: frozenset[str]) -> dict[str, Path]:
    """Map the common part of each name, folders included, to its file."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder).as_posix()
        if path.name.startswith(".") or path.suffix.lower() not in suffixes:
            continue
        if not inner.endswith(ending):
            continue
        stem = inner[: -len(ending or path.suffix)]
        other = found.setdefault(stem, path)
        if other != path:
            raise DataError(
                f"{folder}: {other.name} and {path.name} have the same name",
                hint="Keep one of them: masks are found by the name without its suffix.",
            )
    return found
