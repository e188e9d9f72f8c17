"""Which photos files, folders, globs and addresses stand for, and what results are called."""

import glob
import hashlib
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pgseg_core.errors import DataError, nearest_name
from pgseg_core.photos.frames import FrameFile, count_frames
from pgseg_core.photos.images import IMAGE_SUFFIXES, list_images

STANDARD_INPUT = "-"
_MANY_FRAMES = frozenset({".gif", ".tif", ".tiff", ".webp", ".png", ".avif"})
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_RESULT_ENDINGS = ("_coco", "_labelme")
"""What results add to a photo's name before `.json`, the ending of its numbers."""
_LONGEST_NAME = 160
"""Bytes of a result's name without its ending; file systems take 255, our endings need some."""


@dataclass(frozen=True)
class Photo:
    """A photo to segment."""

    name: str
    """What to call it: path, address or "-"; with the frame's number where there are several."""
    source: Path | str | FrameFile | bytes
    """The file, an address, or what standard input held."""
    stem: Path
    """Its results' name without an ending, below the output folder; unique in one call."""
    frame: int = 0
    """Which frame of a `FrameFile`."""
    root: Path | None = None
    """The folder that was named, or that a named file lies in; None where there is no file."""


@dataclass(frozen=True)
class _Found:
    source: Path | str | bytes
    name: str
    place: Path
    """Where its results go, below the output folder, with the file's own ending."""
    root: Path | None = None
    """The folder that `place` is below."""


def find_photos(inputs: Sequence[str | Path], *, outside: Path | None = None) -> list[Photo]:
    """List the photos that files, folders, globs, addresses and "-" stand for, in order.

    A folder's or a glob's photos keep their place below it. Photos that would share a name keep
    more of their path in it, or their ending (a.jpg and a.png become a.jpg... and a.png...). Frames
    of an animation or pages of a TIFF are photos of their own. The same file twice counts once.

    Args:
        inputs: What to look for.
        outside: A folder below which nothing is taken: where the results go.

    Raises:
        DataError: An input does not exist, or holds no photo.
    """
    found: dict[object, _Found] = {}
    for each in map(str, inputs):
        for one in _expand(each):
            key = one.source.resolve() if isinstance(one.source, Path) else one.name
            found.setdefault(key, one)
    if outside is not None:
        below = outside.resolve()
        own = [key for key in found if isinstance(key, Path) and below in key.parents]
        found = {key: one for key, one in found.items() if key not in own or len(own) == len(found)}
    return [photo for one, stem in _named(list(found.values())) for photo in _frames(one, stem)]


def _expand(value: str) -> list[_Found]:
    if value == STANDARD_INPUT:
        data = sys.stdin.buffer.read()
        if not data:
            raise DataError("standard input is empty", hint="Send it a photo: < photo.jpg")
        return [_Found(data, STANDARD_INPUT, Path("stdin"))]
    if _ADDRESS.match(value):
        return [_Found(value, value, Path(_address_name(value)))]
    path = Path(value)
    if path.is_dir():
        return [
            _Found(image, str(image), image.relative_to(path), path) for image in list_images(path)
        ]
    if path.exists():
        return [_Found(path, str(path), Path(path.name), path.parent)]
    if glob.has_magic(value):
        return _matches(value)
    raise DataError(f"{path}: no such image or folder", hint=_nearest(path))


def _address_name(address: str) -> str:
    """Return the file's name in an address, with nothing in it that a file system minds."""
    try:
        name = unquote(urlsplit(address).path).replace("\\", "/").rpartition("/")[2]
    except ValueError as error:
        raise DataError(f"{address}: no address ({error})", hint="Check it.") from None
    return re.sub(r"[^\w.-]+", "_", name).lstrip("._-") or "image"


def _matches(pattern: str) -> list[_Found]:
    """Return the images that match a pattern, and those in folders that match."""
    parts = Path(pattern).parts
    fixed = Path(*parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
    matches = sorted(map(Path, glob.glob(pattern, recursive=True)))  # noqa: PTH207 - may be absolute
    images = [
        image
        for path in matches
        for image in (list_images(path, may_be_empty=True) if path.is_dir() else [path])
        if image.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not images:
        raise DataError(
            f"{pattern}: matches no image",
            hint="Put the pattern between quotes; ** stands for folders: 'photos/**/*.jpg'",
        )
    return [_Found(image, str(image), image.relative_to(fixed), fixed) for image in images]


def _nearest(path: Path) -> str:
    """Return a hint that names the file beside a missing one that is called nearly the same."""
    folder = path.parent
    names = sorted(beside.name for beside in folder.iterdir()) if folder.is_dir() else []
    nearest = nearest_name(path.name, names)
    return f"Did you mean {folder / nearest}?" if nearest else "Check the path."


def _named(found: Sequence[_Found]) -> list[tuple[_Found, Path]]:
    """Give every photo a stem of its own, as short as can be."""
    choices = [
        [
            name
            for path in (one.place, *_longer(one.source))
            for name in (path.with_suffix(""), path)
        ]
        for one in found
    ]
    stems = [Path()] * len(found)
    open_, taken = list(range(len(found))), set[str]()
    for level in range(max(map(len, choices), default=0)):
        wanted = {at: choices[at][min(level, len(choices[at]) - 1)] for at in open_}
        counts = Counter(_key(stem) for stem in wanted.values())
        for at, stem in wanted.items():
            key = _key(stem)
            if counts[key] == 1 and key not in taken and not _is_result(key, taken | set(counts)):
                stems[at] = stem
        open_ = [at for at in open_ if stems[at] == Path()]
        taken = {_key(stem) for stem in stems}
    for at in open_:  # only addresses can be left: as many as one likes end in image.jpg
        digest = hashlib.blake2b(found[at].name.encode(), digest_size=4).hexdigest()
        stems[at] = found[at].place.with_suffix("").with_name(f"{found[at].place.stem}-{digest}")
    return [(one, _short(stem)) for one, stem in zip(found, stems, strict=True)]


def _longer(source: Path | str | bytes) -> list[Path]:
    """Return a file's path from ever farther up, without any step out of the output folder."""
    if not isinstance(source, Path):
        return []
    parts = source.resolve().parts[1:]
    return [Path(*parts[-count:]) for count in range(2, len(parts) + 1)]


def _key(stem: Path) -> str:
    return str(stem).casefold()  # some file systems hold A.jpg and a.jpg for one


def _is_result(key: str, others: Set[str]) -> bool:
    """Say whether another photo's results would be called like this one's: a_coco.jpg and a.jpg."""
    return any(key.endswith(end) and key.removesuffix(end) in others for end in _RESULT_ENDINGS)


def _short(stem: Path) -> Path:
    """Cut a name that leaves no room for our endings; a digest keeps it apart from others."""
    name = stem.name
    if len(os.fsencode(name)) <= _LONGEST_NAME:
        return stem
    digest = hashlib.blake2b(os.fsencode(name), digest_size=4).hexdigest()
    cut = os.fsencode(name)[: _LONGEST_NAME - 9].decode("utf-8", "ignore")
    return stem.with_name(f"{cut}-{digest}")


def _frames(one: _Found, stem: Path) -> list[Photo]:
    source = one.source
    if isinstance(source, str):  # what an address holds is seen when it is its turn
        return [Photo(one.name, source, stem)]
    animated = isinstance(source, bytes) or source.suffix.lower() in _MANY_FRAMES
    count = count_frames(source) if animated else 1
    if count == 1:
        return [Photo(one.name, source, stem, root=one.root)]
    frames, digits = FrameFile(source, one.name), len(str(count))
    suffix = one.place.suffix  # a folder beside the file may have the file's bare name
    folder = stem if stem.suffix == suffix else stem.with_name(f"{stem.name}{suffix}")
    return [
        Photo(f"{one.name}, frame {k + 1}", frames, folder / f"frame_{k + 1:0{digits}}", k)
        for k in range(count)
    ]
