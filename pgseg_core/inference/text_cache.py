"""Class vectors of long lists, kept on disk, since `--suggest` asks for the same at every call.

A deep text encoder takes a minute for thousands of prompts on a CPU. A file's name is the hash of
all that its vectors depend on, so what is found is never out of date.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from pgseg_core.arrays import arrays_of
from pgseg_core.atomic import whole_file
from pgseg_core.methods.method import Array
from pgseg_core.text.templates import load_templates
from pgseg_core.version import VERSION
from pgseg_core.weights import cache_folder, weights_hash

if TYPE_CHECKING:
    from pgseg_core.inference.segmenter import Segmenter

FOLDER = "class-vectors"
"""Beside the weights that are kept for this user."""
FEWEST = 1000
"""Fewer classes are embedded sooner than their weights are hashed."""
MOST_FILES = 20
"""Those used least lately are removed beyond so many; a file takes about a megabyte."""


def kept_vectors(
    segmenter: "Segmenter", queries: Sequence[Sequence[str]], *, templates: str
) -> Float[Array, "q e"]:
    """Return the vectors that an earlier call has kept, or embed the queries and keep them.

    They are embedded each time where there are few of them, where the weights come from no file,
    and where the folder cannot be written.

    Args:
        segmenter: The model.
        queries: One or more names for each vector.
        templates: A set's name, or a file of templates.

    Raises:
        DataError: No such templates.
    """
    weights = weights_hash(segmenter.origin) if len(queries) >= FEWEST else ""
    if not weights:
        return segmenter.embed_queries(queries, templates=templates)
    unit_first = segmenter.reading.rule.unit_prompts
    head = [VERSION, segmenter.method.fingerprint, weights, unit_first]
    asked = json.dumps([*head, queries, load_templates(templates)])
    name = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    file = cache_folder().with_name(FOLDER) / f"{name}.npy"
    with suppress(OSError, ValueError, EOFError):  # not there, or damaged
        kept = segmenter.method.array(np.load(file, allow_pickle=False))
        file.touch()
        return kept
    vectors = segmenter.embed_queries(queries, templates=templates)
    with suppress(OSError):
        with whole_file(file) as path, path.open("wb") as stream:
            np.save(stream, arrays_of(vectors).numpy(vectors))
        _remove_old(file.parent)
    return vectors


def _remove_old(folder: Path) -> None:
    files = sorted(folder.glob("*.npy"), key=lambda file: file.stat().st_mtime)
    for file in files[:-MOST_FILES]:
        file.unlink(missing_ok=True)
