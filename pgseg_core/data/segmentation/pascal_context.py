"""Pascal Context from the one file it is published in, trainval_merged.json, without conversion."""

import json
from collections import defaultdict
from pathlib import Path

from pgseg_core.data.segmentation.instances import InstanceSet, Outline
from pgseg_core.data.segmentation.sets import BACKGROUND, IGNORE_LABEL
from pgseg_core.data.segmentation.trees import refuse_empty, refuse_missing
from pgseg_core.errors import DataError

ANNOTATIONS = "trainval_merged.json"
"""The published annotation file."""

# Ids of the 59 frequent classes among the file's 459, in the alphabetical order of their names,
# which is the order of their labels.
_IDS = (
    *(2, 9, 18, 19, 22, 23, 25, 31, 33, 34, 44, 45, 46, 59, 65, 68, 72, 80, 85, 98, 104),
    *(
        105,
        113,
        115,
        144,
        158,
        159,
        162,
        187,
        189,
        207,
        220,
        232,
        258,
        259,
        260,
        284,
        295,
        296,
        308,
    ),
    *(
        324,
        326,
        347,
        349,
        354,
        355,
        360,
        366,
        368,
        397,
        415,
        416,
        420,
        424,
        427,
        440,
        445,
        454,
        458,
    ),
)


def open_context_file(
    name: str, root: Path, classes: tuple[str, ...], *, background: bool
) -> InstanceSet:
    """Open the validation images of trainval_merged.json.

    Raises:
        DataError: The file is damaged, has other categories, or an image is missing.
    """
    assert len(_IDS) == len(classes)
    path = root / ANNOTATIONS
    first = 1 if background else 0
    labels = {identity: label for label, identity in enumerate(_IDS, start=first)}
    empty = 0 if background else IGNORE_LABEL
    try:
        values = json.loads(path.read_text("utf-8"))
        images = {i["image_id"]: str(i["file_name"]) for i in values["images"] if _is_val(i)}
        objects: defaultdict[int, list[Outline]] = defaultdict(list)
        for entry in values["annos_segmentation"]:
            if entry["image_id"] in images:
                if entry["category_id"] not in labels:
                    labels[int(entry["category_id"])] = empty
                objects[entry["image_id"]].append(entry)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is not Pascal Context's annotation file ({error!r})",
            hint="Expected its lists 'images' and 'annos_segmentation'.",
        ) from error
    refuse_empty(name, path, list(images))
    files = tuple(
        (root / "JPEGImages" / file, tuple(objects[key])) for key, file in sorted(images.items())
    )
    missing = [file for file, _ in files if not file.is_file()]
    refuse_missing(name, root, f"{ANNOTATIONS}, JPEGImages/*.jpg", missing)
    return InstanceSet(
        name=name,
        class_names=(BACKGROUND, *classes) if background else classes,
        vocabulary="context",
        source=path,
        files=files,
        labels=labels,
        empty=empty,
    )


def _is_val(image: dict[str, object]) -> bool:
    return image["phase"] == "val"
