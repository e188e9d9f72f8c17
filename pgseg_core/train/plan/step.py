"""The time of a step on many devices, from sizes, bytes and a few rates.

Deliberately small: every term is one line that can be checked by hand, and docs/scaling.md compares
the sum with measurements.
"""

import math
from dataclasses import dataclass

from pgseg_core.config import Config
from pgseg_core.npr.matching import MOST_THREADS
from pgseg_core.train.plan.devices import DeviceKind
from pgseg_core.train.plan.sizes import ModelSizes

READ_PER_CORE = 900.0
"""Pairs of 224 pixels that a core reads, decodes and crops in a second (docs/benchmarks.md)."""
_BACKWARD = 2.0
_OVERLAP = 0.5
_CALLS_PER_NORM = 4
_FLOAT = 4


@dataclass(frozen=True, kw_only=True)
class StepPlan:
    """One optimiser step of one device among many. Bytes are what it sends; times are seconds."""

    features: float
    """Bytes: vectors gathered for the contrast, and their gradients."""
    gradients: float
    """Bytes: gradients, and in ZeRO the weights that come back."""
    norms: float
    """Bytes: BatchNorm's moments."""
    banks: float
    """Bytes: prototype means."""
    compute: float
    matching: float
    """Seconds of the host's threads for the Hungarian method, as if nothing covered them; captions,
    nouns and contrast do, for most of it."""
    exchange: float
    """Seconds of collectives that no computation covers."""
    reading: float
    """Seconds that this device's cores need to read its next batch, meanwhile."""
    pairs: int
    """Of the global batch."""
    alone: float
    """Seconds for the same share of the batch without anybody to talk to."""

    @property
    def seconds(self) -> float:
        """Of the step: reading hides behind the rest, or the rest behind reading."""
        return max(self.compute + self.matching + self.exchange, self.reading)

    @property
    def pairs_per_second(self) -> float:
        """Over all devices."""
        return self.pairs / self.seconds

    @property
    def efficiency(self) -> float:
        """Share of the throughput that as many lonely devices would have."""
        return self.alone / self.seconds

    @property
    def limit(self) -> str:
        """What takes longest."""
        times = {
            "compute": self.compute,
            "matching": self.matching,
            "exchange": self.exchange,
        }
        if self.reading >= self.compute + self.matching + self.exchange:
            return "reading"
        return max(times, key=lambda name: times[name])


def plan_step(
    sizes: ModelSizes, config: Config, kind: DeviceKind, *, devices: int, stage: int
) -> StepPlan:
    """Predict a step.

    Args:
        sizes: The model's.
        config: Says batch, nouns, contrasts of groups and patches, accumulation.
        kind: The devices'.
        devices: How many.
        stage: ZeRO stage; 0 is also `ddp`.
    """
    train, model = config.train, config.model
    rows = train.batch_size / devices
    ring = (devices - 1) / devices
    # Forward, each rank receives all others' vectors; backward, their gradients are all-reduced.
    vectors = 2 + (1 + config.data.num_nouns if config.data.num_nouns else 0)
    parts = [model.image.num_groups[-1]] if model.group_contrast > 0 else []
    if model.patch_contrast > 0:
        patches = (model.image.image_size // model.image.patch_size) ** 2
        parts.append(model.num_contrasted(patches))
    for per_image in parts:
        vectors += per_image + 1 + (per_image + config.data.num_nouns) * bool(config.data.num_nouns)
    features = 3 * ring * train.batch_size * vectors * model.joint_width * _FLOAT
    passes = train.accumulate if stage >= 2 else 1
    times = {0: 2, 1: 2, 2: 1 + passes, 3: 3 * passes}[stage]
    gradients = times * ring * sizes.total * _FLOAT
    norms = _CALLS_PER_NORM * 2 * ring * sum(sizes.norm_channels) * _FLOAT
    banks = 2 * ring * sum(sizes.bank_bytes)
    link = kind.inside if devices <= kind.per_node else kind.outside
    forward = sizes.flops_per_pair * rows / (kind.flops * kind.utilisation)
    again = _extra_passes(config, sizes) * forward
    compute = (1 + _BACKWARD) * forward + again
    calls = _CALLS_PER_NORM * len(sizes.norm_channels) + 2 * vectors + len(sizes.bank_bytes) + 2
    waiting = calls * kind.latency * math.log2(devices) if devices > 1 else 0.0
    covered = _OVERLAP * _BACKWARD * forward
    exchange = (features + norms + banks) / link + waiting
    exchange += max(0.0, gradients / link - covered)
    matching = sizes.matching_seconds_per_pair * rows / min(kind.cores, MOST_THREADS)
    return StepPlan(
        features=features,
        gradients=gradients,
        norms=norms,
        banks=banks,
        compute=compute,
        matching=matching,
        exchange=exchange,
        reading=rows / (kind.cores * READ_PER_CORE * (224 / model.image.image_size) ** 2),
        pairs=train.batch_size,
        alone=compute + matching,
    )


def _extra_passes(config: Config, sizes: ModelSizes) -> float:
    """Forward passes that gradient caching adds: one, and for exact BatchNorm about one a layer."""
    if not config.train.grad_cache:
        return 0.0
    inside = len(sizes.norm_channels) - 2 - bool(config.data.num_nouns)
    return 1.0 + (inside if config.train.grad_cache_norm == "batch" else 0.0)
