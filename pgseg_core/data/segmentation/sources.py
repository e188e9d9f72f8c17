"""Where a set is obtained: read from `sources.yaml`, for whoever misses its files."""

from functools import cache
from importlib import resources
from typing import Any

import yaml


def where_to_get(name: str, *, after: str) -> str:
    """Return a hint with the place where a set is published behind it.

    Args:
        name: The set; for one of the user's own the hint stays as it is.
        after: The hint.
    """
    source = _sources().get(name)
    if source is None:
        return after
    hint = f"{after.rstrip('.')}. " if after and after[-1] not in "?!" else f"{after} ".lstrip()
    return f"{hint}{source['title']} is published at {source['home']}: {source['files']}."


@cache
def _sources() -> dict[str, dict[str, Any]]:
    file = resources.files(__package__).joinpath("sources.yaml")
    found: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text("utf-8"))
    return found
