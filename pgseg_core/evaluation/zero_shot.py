"""A segmenter's numbers: on a set with masks under a protocol, and in image-text retrieval."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int16
from PIL import Image, ImageOps
from torch import Tensor

from pgseg_core.checkpoint.store import WEIGHTS
from pgseg_core.comm import Collectives
from pgseg_core.config import InferenceConfig
from pgseg_core.data.pairs import Pair, read_pairs
from pgseg_core.data.segmentation import SegmentationSet
from pgseg_core.data.shards import find_shards
from pgseg_core.data.transforms import normalise, to_tensor
from pgseg_core.evaluation.protocols import Protocol, class_list_hash
from pgseg_core.evaluation.report import Report
from pgseg_core.evaluation.retrieval import RetrievalScores, retrieval_recalls
from pgseg_core.evaluation.runner import evaluate_segmentation
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.text.vocabulary import ClassName, Vocabulary, load_vocabulary

OnProgress = Callable[[int, int], None]

IMAGES_AT_ONCE = 64


def protocol_inference(protocol: Protocol) -> InferenceConfig:
    """Return how a protocol reads an image."""
    return InferenceConfig(
        short_side=protocol.short_side,
        long_side=protocol.long_side,
        window=protocol.window,
        stride=protocol.stride,
        antialias=False,
    )


def evaluate_zero_shot(
    segmenter: Segmenter,
    dataset: SegmentationSet,
    protocol: Protocol,
    comm: Collectives,
    *,
    system: str = "pgseg",
    threshold: float | None = None,
    templates: str | None = None,
    own_size: bool = False,
    limit: int | None = None,
    on_progress: OnProgress | None = None,
) -> Report:
    """Segment a set and score it.

    Args:
        segmenter: The model.
        dataset: Images with masks.
        protocol: Everything else the number depends on.
        comm: The ranks that share the images.
        system: Whose thresholds and renamed classes of the protocol to use, where it has several.
        threshold: Background threshold instead of the protocol's.
        templates: Prompt templates instead of the protocol's.
        own_size: Read images at the model's own size; the report then says so beside the
            protocol's name.
        limit: Only the first so many images.
        on_progress: Told after every image.

    Raises:
        DataError: The set is empty, or an image or mask is damaged.
        ConfigError: The protocol knows no such system.
    """
    reading = protocol_inference(protocol)
    name = protocol.id
    if own_size:
        own = replace(segmenter.inference, antialias=False)
        if own != reading:
            name += f" (at {own.short_side}, window {own.window}, stride {own.stride})"
        reading = own
    reader = Segmenter(segmenter.model, reading, device=segmenter.device, origin=segmenter.origin)
    templates = templates or protocol.templates
    vocabulary = load_vocabulary(dataset.vocabulary)
    bar = threshold
    if dataset.name in protocol.datasets:
        rules = protocol.dataset(dataset.name).system(system)
        vocabulary = Vocabulary(
            tuple(
                ClassName(entry.name, (rules.renamed.get(entry.name, entry.name),))
                for entry in vocabulary.classes
            )
        )
        bar = rules.threshold if threshold is None else threshold
    background = dataset.has_background
    bank = reader.embed_classes(vocabulary, templates=templates)
    top_k = protocol.top_k or len(bank.names)

    def predict(image: Image.Image) -> Int16[np.ndarray, "h w"]:
        return reader.segment(
            image, bank, background=background, threshold=0.95 if bar is None else bar, top_k=top_k
        ).labels

    result = evaluate_segmentation(dataset, predict, comm, on_progress, limit=limit)
    prompts = [(), *vocabulary.prompts] if background else list(vocabulary.prompts)
    return Report(
        protocol=name,
        dataset=dataset.name,
        class_names=dataset.class_names,
        class_hash=class_list_hash(dataset.class_names, prompts),
        threshold=bar if background else None,
        templates=templates,
        weights=segmenter.origin,
        weights_hash=weights_hash(Path(segmenter.origin)),
        images_seen=result.images_seen,
        images_skipped=result.images_skipped,
        scores=result.scores,
    )


def weights_hash(checkpoint: Path) -> str:
    """Name a checkpoint by its weights: the first 12 hexadecimal digits of their file's SHA-256."""
    with (checkpoint / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


@torch.inference_mode()
def evaluate_retrieval(
    segmenter: Segmenter, shards: str | Path, split: str, *, on_progress: OnProgress | None = None
) -> RetrievalScores:
    """Search a split's captions with its images, and back.

    Every image is resized to the training size by its short side, and its centre taken; every
    caption is used as it is.

    Args:
        segmenter: The model.
        shards: A prepared folder, or shards as `find_shards` takes them.
        split: Which split of it.
        on_progress: Told after every few images.

    Raises:
        DataError: The shards or the split are missing or damaged.
    """
    model, device = segmenter.model, segmenter.device
    side = model.config.image.image_size
    images: list[Tensor] = []
    texts: list[Tensor] = []
    owner: list[int] = []
    total = sum(shard.num_samples for shard in find_shards(shards, split))
    done = 0
    for pairs in _batches(read_pairs(shards, split)):
        pixels = torch.stack([normalise(to_tensor(_centre(p.image, side))) for p in pairs])
        images.append(model.encode_image(pixels.to(device)).feature.float().cpu())
        captions = [caption for pair in pairs for caption in pair.captions]
        tokens = segmenter.tokenizer(captions).to(device)
        texts.append(model.encode_text(tokens).feature.float().cpu())
        owner += [done + i for i, pair in enumerate(pairs) for _ in pair.captions]
        done += len(pairs)
        if on_progress is not None:
            on_progress(done, total)
    return retrieval_recalls(_unit(images), _unit(texts), torch.tensor(owner))


def _unit(parts: list[Tensor]) -> Float[Tensor, "n e"]:
    return F.normalize(torch.cat(parts), dim=-1)


def _centre(image: Image.Image, side: int) -> Image.Image:
    return ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC)


def _batches(pairs: Iterator[Pair]) -> Iterator[list[Pair]]:
    while batch := list(islice(pairs, IMAGES_AT_ONCE)):
        yield batch
