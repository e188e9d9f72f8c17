"""COCO's category ids, and its instance files as semantic masks."""

import json
from collections import defaultdict
from pathlib import Path

from pgseg_core.data.segmentation.instances import InstanceSet, Outline, smaller_last
from pgseg_core.data.segmentation.trees import refuse_empty, refuse_missing
from pgseg_core.errors import DataError

_UNUSED = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
THING_IDS = tuple(identity for identity in range(1, 91) if identity not in _UNUSED)
"""Category ids of the 80 things, in the order of their labels."""
STUFF_IDS = tuple(range(92, 183))
"""Category ids of the 91 stuff classes."""

_LABELS = {identity: label for label, identity in enumerate(THING_IDS, start=1)}


def find_instances(root: Path) -> Path | None:
    """Return the instance file below a root: val2017's where it is, else the only one."""
    published = root / "annotations" / "instances_val2017.json"
    found = [published] if published.is_file() else sorted(root.glob("instances_*.json"))
    return found[0] if len(found) == 1 else None


def open_instances(
    name: str, root: Path, path: Path, class_names: tuple[str, ...], vocabulary: str, *, empty: int
) -> InstanceSet:
    """Open the images of an instance file; one without an object is `empty` all over.

    Where objects overlap the smaller one is seen; a crowd is its class.

    Raises:
        DataError: The file is damaged, has another category list, or names no image or one that is
            missing.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
        images = [(int(i["id"]), str(i["file_name"])) for i in values["images"]]
        objects: defaultdict[int, list[Outline]] = defaultdict(list)
        for entry in values["annotations"]:
            if entry["category_id"] not in _LABELS:
                raise DataError(
                    f"{path}: category {entry['category_id']} is none of COCO's 80 things"
                )
            objects[int(entry["image_id"])].append(entry)
        drawn = {identity: smaller_last(entries) for identity, entries in objects.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is not an instance file of COCO ({error!r})",
            hint="Expected its lists 'images' and 'annotations'.",
        ) from error
    split = path.stem.removeprefix("instances_")
    folders = [root / "images" / split, root / split, root / "images"]
    folder = next((folder for folder in folders if folder.is_dir()), folders[-1])
    refuse_empty(name, path, images)
    files = tuple((folder / file, drawn.get(identity, ())) for identity, file in sorted(images))
    missing = [file for file, _ in files if not file.is_file()]
    refuse_missing(name, root, "images/*.jpg as the instance file names them", missing)
    return InstanceSet(
        name=name,
        class_names=class_names,
        vocabulary=vocabulary,
        source=path,
        files=files,
        labels=_LABELS,
        empty=empty,
    )
