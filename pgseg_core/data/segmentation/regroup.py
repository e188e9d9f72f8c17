"""A set asked for other classes than its own: mask values put together, the rest not counted.

So one measures what a model can know (twelve words that its captions speak of) on masks that were
drawn for another list. The file is JSON, and a class file of the same classes as well:
{"classes": {"water": {"ids": [148, 155, 178], "synonyms": ["water", "ocean", "lake"]}, ...}}
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pgseg_core.data.segmentation.instances import InstanceSet
from pgseg_core.data.segmentation.sets import IndexMaskSet
from pgseg_core.errors import DataError, did_you_mean

_FORM = 'Write {"classes": {"water": {"ids": [148, 155], "synonyms": ["water", "lake"]}, ...}}'


def regrouped(dataset: IndexMaskSet | InstanceSet, path: Path) -> IndexMaskSet:
    """Return a set with the classes of a file.

    Args:
        dataset: The set; its masks must be images of values.
        path: Says for each class which values of the mask files are its own.

    Raises:
        DataError: The file cannot be read, gives a value twice or one that no mask of the set may
            hold, or the set's masks are outlines.
    """
    if not isinstance(dataset, IndexMaskSet):
        raise DataError(
            f"--regroup: the masks of {dataset.name} are outlines, not images of values",
            hint="Write them as images first: pgseg data convert",
        )
    groups = read_groups(path)
    labels = dataset.labels or {
        **{value: value for value in range(len(dataset.class_names))},
        dataset.ignore_label: dataset.ignore_label,
    }
    chosen: dict[int, int] = {}
    for label, (name, values) in enumerate(groups.items()):
        for value in values:
            if value not in labels:
                raise DataError(
                    f"{path}: class '{name}' has the value {value}, which no mask of "
                    f"{dataset.name} may hold",
                    hint=did_you_mean(str(value), map(str, labels), what="Values are"),
                )
            if value in chosen:
                first = list(groups)[chosen[value]]
                raise DataError(
                    f"{path}: the value {value} belongs to '{first}' and to '{name}'",
                    hint="Give it to one of them.",
                )
            chosen[value] = label
    return replace(
        dataset,
        name=f"{dataset.name}-{path.stem}",
        class_names=tuple(groups),
        vocabulary=f"@{path}",
        labels={value: chosen.get(value, dataset.ignore_label) for value in labels},
    )


def read_groups(path: Path) -> Mapping[str, tuple[int, ...]]:
    """Return the mask values of each class of a file, in its order.

    Raises:
        DataError: The file cannot be read, or a class has no values.
    """
    try:
        classes = json.loads(path.read_text("utf-8"))["classes"]
        groups = {name: tuple(map(int, entry["ids"])) for name, entry in classes.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        problem = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(
            f"{path} does not say which mask values are which class ({problem})", hint=_FORM
        ) from error
    if not groups or not all(groups.values()):
        raise DataError(f"{path} has a class without mask values, or no class", hint=_FORM)
    return groups
