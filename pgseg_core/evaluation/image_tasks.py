"""What a model says of whole images: image-text retrieval, and zero-shot classification.

Every image is resized to the training size by its short side, and its centre taken. Images go
through the model in batches of one size, and a batch belongs to one rank: so the numbers do not
depend on how many ranks there are.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor

from pgseg_core.comm import Collectives
from pgseg_core.data.labelled import LabelledImages
from pgseg_core.data.pairs import read_pairs
from pgseg_core.data.shards import find_shards
from pgseg_core.errors import ConfigError, DataError
from pgseg_core.evaluation.metrics.classification import (
    ClassificationScores,
    classes_ahead,
    classification_scores,
)
from pgseg_core.evaluation.metrics.retrieval import RetrievalScores, retrieval_recalls
from pgseg_core.inference.preprocess import normalise
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.text.vocabulary import ClassName, Vocabulary, read_class_file

OnProgress = Callable[[int, int], None]

IMAGES_AT_ONCE = 64

_NUMBERED = re.compile(r"n\d{8}|\d+")
Item = TypeVar("Item")


@torch.inference_mode()
def evaluate_retrieval(
    segmenter: Segmenter,
    shards: str | Path,
    split: str,
    comm: Collectives,
    *,
    on_progress: OnProgress | None = None,
) -> RetrievalScores:
    """Search a split's captions with its images, and back; every caption is used as it is.

    Args:
        segmenter: The model.
        shards: A prepared folder, or shards as `find_shards` takes them.
        split: Which split of it.
        comm: The ranks that share the batches.
        on_progress: Told after every batch.

    Raises:
        DataError: The shards or the split are missing or damaged.
    """
    images: list[Tensor] = []
    texts: list[Tensor] = []
    owner: list[int] = []
    total = sum(shard.num_samples for shard in find_shards(shards, split))
    done = 0
    width = segmenter.embed_queries([("photo",)]).shape[1]
    for number, pairs in enumerate(_batches(read_pairs(shards, split))):
        captions = [caption for pair in pairs for caption in pair.captions]
        if number % comm.world_size == comm.rank:
            images.append(_image_vectors(segmenter, [pair.image for pair in pairs]))
            texts.append(_unit(torch.as_tensor(segmenter.method.embed(captions))))
        else:
            images.append(torch.zeros(len(pairs), width))
            texts.append(torch.zeros(len(captions), width))
        owner += [done + i for i, pair in enumerate(pairs) for _ in pair.captions]
        done += len(pairs)
        if on_progress is not None:
            on_progress(done, total)
    every = comm.sum(torch.cat(images)), comm.sum(torch.cat(texts))
    return retrieval_recalls(*every, torch.tensor(owner))


@torch.inference_mode()
def evaluate_classification(
    segmenter: Segmenter,
    dataset: LabelledImages,
    vocabulary: Vocabulary,
    comm: Collectives,
    *,
    templates: str = "simple",
    limit: int | None = None,
    on_progress: OnProgress | None = None,
) -> ClassificationScores:
    """Give every image the class whose name fits it best.

    Args:
        segmenter: The model.
        dataset: Images with a class each.
        vocabulary: The classes, from `class_vocabulary`; every wording in every template is
            averaged into one vector for each class.
        comm: The ranks that share the batches.
        templates: Prompt templates.
        limit: Only so many images, spread evenly over the set.
        on_progress: Told after every batch.

    Raises:
        DataError: An image has a class that is not listed, or cannot be read.
    """
    images = dataset.images
    if limit is not None and limit < len(images):
        images = tuple(images[place * len(images) // limit] for place in range(limit))
    labels = torch.tensor([_label(image.label, image.name, vocabulary) for image in images])
    vectors = segmenter.embed_queries(vocabulary.prompts, templates=templates)
    ahead = torch.zeros(len(images), dtype=torch.int64)
    done = 0
    for number, batch in enumerate(_batches(images)):
        rows = slice(done, done + len(batch))
        if number % comm.world_size == comm.rank:
            seen = _image_vectors(segmenter, [image.read() for image in batch])
            ahead[rows] = classes_ahead(seen, vectors.cpu(), labels[rows])
        done += len(batch)
        if on_progress is not None:
            on_progress(done, len(images))
    return classification_scores(comm.sum(ahead), labels, len(vocabulary))


def class_vocabulary(dataset: LabelledImages, classes: Path | None) -> Vocabulary:
    """Return the classes to choose among.

    They are those of a class file (given, or lying beside the images); a folder's class stands
    there under the folder's name (n01440764: tench, Tinca tinca). Without a file they are called
    as their folders, with spaces for underscores.

    Raises:
        DataError: The file cannot be read or lacks a class, or there is none and the folders' names
            are only numbers.
    """
    file = classes or dataset.class_list
    if file is not None:
        vocabulary = read_class_file(file)
        for folder in dataset.folders:
            _label(folder, f"the folder {folder}", vocabulary)
        return vocabulary
    names = dataset.folders
    if not names or all(_NUMBERED.fullmatch(name) for name in names):
        example = names[0] if names else "0"
        raise DataError(
            f"{dataset.name} does not say what its classes are called"
            + (f" (its folders are {names[0]}, ...)" if names else ""),
            hint=f"Give a file with one class a line: --classes FILE ({example}: tench, Tinca "
            "tinca)"
            if names
            else "Give a file with one class a line, in the order of their numbers: --classes FILE",
        )
    return Vocabulary(tuple(ClassName(name, (name.replace("_", " "),)) for name in names))


def _label(label: str | int, name: str, vocabulary: Vocabulary) -> int:
    """Return a class's place in the list."""
    if isinstance(label, int):
        if label < len(vocabulary):
            return label
        raise DataError(
            f"{name} is of class {label}, but {len(vocabulary)} classes are listed",
            hint="List every class, in the order of their numbers, from 0.",
        )
    places = {own.casefold(): place for place, own in enumerate(vocabulary.names)}
    if label.casefold() in places:
        return places[label.casefold()]
    raise DataError(
        f"{name} is of class '{label}', which the class list has not",
        hint=f"Write a line for it: {label}: wording, wording",
    )


def _image_vectors(segmenter: Segmenter, images: list[Image.Image]) -> Float[Tensor, "n e"]:
    reading = segmenter.reading
    side = reading.image_side
    pixels = [
        normalise(np.asarray(ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC)), reading)
        for image in images
    ]
    seen = segmenter.method.regions(np.stack(pixels)).windows
    if seen is None:
        raise ConfigError("this method has no vector of an image as a whole")
    return _unit(torch.as_tensor(seen))


def _unit(vectors: Float[Tensor, "n e"]) -> Float[Tensor, "n e"]:
    return F.normalize(vectors.float(), dim=-1).cpu()


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, IMAGES_AT_ONCE)):
        yield batch
