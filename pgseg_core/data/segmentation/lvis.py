"""LVIS: a thousand classes on COCO's photos, with the names that its annotation file gives."""

import json
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

from pgseg_core.data.segmentation.instances import InstanceSet, Outline, smaller_last
from pgseg_core.data.segmentation.sets import BACKGROUND, MANY_IGNORE_LABEL
from pgseg_core.data.segmentation.trees import refuse_empty, refuse_missing
from pgseg_core.errors import DataError

_LAYOUT = "lvis_v1_val.json (or annotations/lvis_v1_val.json), val2017/*.jpg, train2017/*.jpg"


def open_lvis(name: str, root: Path, *, background: bool) -> InstanceSet:
    """Open the images of LVIS's validation file that have objects.

    LVIS says of each photo only what some classes are. A pixel without object may be of any other
    class, so it is not counted, unless `background` asks to call it one.

    Raises:
        DataError: There is no annotation file or more than one, it is damaged, or an image is
            missing.
    """
    path = _find_annotations(name, root)
    try:
        values = json.loads(path.read_text("utf-8"))
        categories = sorted(values["categories"], key=lambda entry: int(entry["id"]))
        wordings = [str(entry["name"]).replace("_", " ").replace('"', "") for entry in categories]
        first = 1 if background else 0
        labels = {int(e["id"]): place for place, e in enumerate(categories, start=first)}
        places = {int(entry["id"]): _place(entry) for entry in values["images"]}
        objects: defaultdict[int, list[Outline]] = defaultdict(list)
        for entry in values["annotations"]:
            if int(entry["category_id"]) not in labels:
                raise DataError(f"{path}: object {entry['id']} is of no listed category")
            objects[int(entry["image_id"])].append(entry)
        drawn = {identity: smaller_last(entries) for identity, entries in objects.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is not an annotation file of LVIS ({error!r})",
            hint="Expected its lists 'images', 'annotations' and 'categories'.",
        ) from error
    refuse_empty(name, path, list(drawn))
    files = tuple((_image(root, places[key]), drawn[key]) for key in sorted(drawn))
    missing = [file for file, _ in files if not file.is_file()]
    refuse_missing(name, root, _LAYOUT, missing)
    return InstanceSet(
        name=name,
        class_names=((BACKGROUND,) if background else ()) + tuple(wordings),
        vocabulary=",".join(f'"{wording}"' for wording in wordings),
        source=path,
        files=files,
        labels=labels,
        empty=0 if background else MANY_IGNORE_LABEL,
        ignore_label=MANY_IGNORE_LABEL,
    )


def _find_annotations(name: str, root: Path) -> Path:
    published = [root / part / "lvis_v1_val.json" for part in (".", "annotations")]
    found = [path for path in published if path.is_file()]
    found = found[:1] or sorted(root.glob("lvis_*.json"))
    if len(found) != 1:
        what = "no annotation file" if not found else f"{len(found)} annotation files"
        raise DataError(f"{name}: {what} in {root}", hint=f"Expected: {_LAYOUT}")
    return found[0]


def _place(entry: dict[str, Any]) -> PurePosixPath:
    """Return COCO's folder and file of an image: LVIS v1 has them in an address only."""
    return PurePosixPath(
        *PurePosixPath(str(entry.get("coco_url") or entry["file_name"])).parts[-2:]
    )


def _image(root: Path, place: PurePosixPath) -> Path:
    options = [root / place, root / "images" / place, root / "images" / place.name]
    return next((path for path in options if path.is_file()), options[0])
