"""How large a model is and what a pair costs, taken from the model itself on a few blank pairs."""

import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pgseg_core.comm import LocalCollectives
from pgseg_core.config import Config
from pgseg_core.data.batch import Batch
from pgseg_core.networks.blocks.batch_norm import BatchNorm
from pgseg_core.networks.blocks.layers import Projector
from pgseg_core.networks.grouping import PGSeg, build_model
from pgseg_core.npr import match
from pgseg_core.train.encoded import Encoded
from pgseg_core.train.task import TrainTask

_PAIRS = 2
_WORDS = 20
_HALF = 0.6


@dataclass(frozen=True, kw_only=True)
class ModelSizes:
    """A model in numbers."""

    parameters: dict[str, int]
    """By part of the network."""
    largest_layer: int
    """Parameters of the largest single layer."""
    flops_per_pair: float
    """Forward pass of an image, its caption and its nouns; its patches' into the joint space."""
    activation_bytes_per_pair: float
    """Kept between forward and backward pass."""
    matching_seconds_per_pair: float
    """The Hungarian method on one core of this machine."""
    norm_channels: tuple[int, ...]
    """Channels of every BatchNorm call of a step."""
    bank_bytes: tuple[int, ...]
    """Of every prototype bank."""

    @property
    def total(self) -> int:
        """All parameters."""
        return sum(self.parameters.values())


def measure_sizes(config: Config) -> ModelSizes:
    """Build the model on the CPU and take two blank pairs through it.

    Activations are counted in float32; in half precision about 0.6 of that are kept, because sums
    and normalisations stay float32 (measured: docs/scaling.md).
    """
    model = build_model(config.model)
    task = TrainTask(model.train(), LocalCollectives())
    batch = _blank(config)
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        made = _forward(task, batch)
    held = sum(size for place, size in kept.items() if place not in weights)
    del made
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        _forward(task, batch)
    share = 1.0 if config.train.precision == "fp32" else _HALF
    return ModelSizes(
        parameters=_by_part(model),
        largest_layer=max(
            sum(p.numel() for p in module.parameters(recurse=False)) for module in model.modules()
        ),
        flops_per_pair=counter.get_total_flops() / _PAIRS,
        activation_bytes_per_pair=share * held / _PAIRS,
        matching_seconds_per_pair=_matching_seconds(config),
        norm_channels=_norm_channels(model, config),
        bank_bytes=tuple(4 * bank.numel() for bank in model.banks().values()),
    )


def _forward(task: TrainTask, batch: Batch) -> tuple[Encoded, Tensor | None]:
    """Do what grows with the pairs alone: encode; project patches that are contrasted."""
    encoded = task.encode(batch)
    patches = encoded.patches
    return encoded, None if patches is None else task.model.project_patches(patches)


def _blank(config: Config) -> Batch:
    model = config.model
    side, length = model.image.image_size, model.text.context_length
    words = min(_WORDS, length)
    tokens = torch.zeros(_PAIRS, length, dtype=torch.long)
    tokens[:, : words - 1] = 1
    tokens[:, words - 1] = model.text.vocab_size - 1
    batch = Batch(images=torch.zeros(_PAIRS, 3, side, side), tokens=tokens)
    nouns = config.data.num_nouns
    if not nouns:
        return batch
    return replace(batch, noun_tokens=tokens[:, None].expand(-1, nouns, -1).contiguous())


def _by_part(model: PGSeg) -> dict[str, int]:
    parts = {
        name: sum(p.numel() for p in module.parameters()) for name, module in model.named_children()
    }
    parts["temperatures"] = sum(p.numel() for p in model.parameters(recurse=False))
    return {name.replace("_", " "): count for name, count in parts.items()}


def _norm_channels(model: PGSeg, config: Config) -> tuple[int, ...]:
    channels = [m.num_features for m in model.modules() if isinstance(m, BatchNorm)]
    projector = model.text_projector
    if config.data.num_nouns and isinstance(projector, Projector):  # it is called twice
        channels.append(projector.norm.num_features)
    return tuple(channels)


def _matching_seconds(config: Config, tries: int = 16) -> float:
    npr, groups = config.model.npr, config.model.image.num_groups
    if not npr.enabled or npr.matching != "hungarian":
        return 0.0
    sizes = [g for i, g in enumerate(groups) if npr.image_stages == "all" or i in npr.image_stages]
    if npr.text_source != "none":
        sizes.append(groups[-1])
    random = np.random.default_rng(0)
    tables = [torch.from_numpy(random.random((tries, g, g), dtype=np.float32)) for g in sizes]
    match(tables[0][:1])  # the first one also imports the solver and starts its threads
    start = time.process_time()
    for table in tables:
        match(table)
    return (time.process_time() - start) / tries
