"""Shards to batches for training: exact to resume, equal on every rank, flat in memory.

The order is planned in one place (`order.py`) and processes only decode: batch s is a function of
(settings, seed, s). The price is that shards must be local tars that can be indexed.
"""

import logging
import signal
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any

import torch
from torch.utils.data import DataLoader

from pgseg_core.config.schema import DataConfig
from pgseg_core.data.batch import Batch
from pgseg_core.data.batch_reader import (
    BadSample,
    BatchReader,
    FindNouns,
    ReadingPlan,
    Tokenize,
)
from pgseg_core.data.shards import Shard
from pgseg_core.errors import ConfigError, DataError

_FIRST_CHECK = 1000
"""Samples after which a share of them says something; a share of 0 does from the first."""
_NAMED = 20

_log = logging.getLogger(__name__)


class TrainingReader:
    """Endless batches of augmented image-text pairs.

    Every epoch reads each pair at most once, in a new order; every rank does the same number of
    steps; each image comes with one of its captions. Batch s is always the same for the same
    settings and seed, whatever `data.workers` is and wherever reading starts.

    A pair that cannot be read is passed over, named in the log and counted, and the pair at its
    place one step later is read instead.

    Args:
        shards: What `find_shards` returned.
        data: Augmentation, nouns, shuffling and processes.
        image_size: Side of the square images in pixels.
        tokenize: Captions to ids; must be picklable where processes are spawned.
        batch_size: Pairs per step of one rank (b).
        seed: Seed of the order, augmentation and choice of captions.
        rank: This process among all that train together.
        world_size: Number of processes that train together.
        find_nouns: Finds the nouns of a caption; needed where `data.num_nouns` is not 0.

    Attributes:
        num_samples: Pairs in an epoch, over all ranks.
        steps_per_epoch: Steps that each rank does in an epoch.
        num_bad: Pairs of this rank that could not be read so far, each counted once an epoch.

    Raises:
        DataError: There are fewer pairs than one step of all ranks takes.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        data: DataConfig,
        *,
        image_size: int,
        tokenize: Tokenize,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        find_nouns: FindNouns | None = None,
    ) -> None:
        if data.num_nouns and find_nouns is None:
            raise ConfigError(
                f"data.num_nouns is {data.num_nouns}, and this reader was given no noun finder",
                hint="Use --set data.num_nouns=0",
            )
        plan = ReadingPlan(
            shards=tuple(shards),
            data=data,
            image_size=image_size,
            tokenize=tokenize,
            batch_size=batch_size,
            seed=seed,
            rank=rank,
            world_size=world_size,
            find_nouns=find_nouns,
        )
        if not plan.steps_per_epoch:
            raise DataError(
                f"{plan.num_samples} image-text pairs are fewer than one step takes "
                f"({plan.global_batch_size})",
                hint=f"Use a smaller batch: --set train.batch_size={max(plan.num_samples // 2, 1)}",
            )
        self.num_samples = plan.num_samples
        self.steps_per_epoch = plan.steps_per_epoch
        self.num_bad = 0
        self._plan = plan
        self._bad: dict[tuple[str, str], BadSample] = {}

    def batches(self, start_step: int = 0) -> Iterator[Batch]:
        """Yield the batches of steps `start_step`, `start_step` + 1, ... without end.

        Starting late costs nothing: the batches before are not read.

        Args:
            start_step: Counted from 0 over all epochs.

        Raises:
            DataError: More than `data.max_bad_share` of the pairs cannot be read, or a shard is
                missing.
        """
        self._bad.clear()
        loader = DataLoader(
            BatchReader(self._plan),
            batch_size=None,
            sampler=_StepsFrom(start_step),
            num_workers=self._plan.data.workers,
            collate_fn=_as_it_is,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_start_worker,
            # Its own generator: the global one belongs to the model, and resuming restores it.
            generator=torch.Generator(),
        )
        since = start_step
        for step, reading in enumerate(loader, start=start_step):
            if step % self.steps_per_epoch == 0:
                self._bad.clear()
                since = step
            self._note(reading.bad)
            self._check(step, since)
            if reading.batch is None:
                raise reading.error or DataError(f"step {step} could not be read")
            yield reading.batch

    def _note(self, bad: Iterable[BadSample]) -> None:
        for sample in bad:
            name = (str(sample.shard), sample.key)
            if name not in self._bad:
                self._bad[name] = sample
                self.num_bad += 1
                if self.num_bad <= _NAMED:
                    _log.warning("skipped %s in %s: %s", sample.key, sample.shard, sample.reason)

    def _check(self, step: int, since: int) -> None:
        """Refuse to train on shards that are largely damaged."""
        read = (step + 1 - since) * self._plan.batch_size
        allowed = self._plan.data.max_bad_share
        last_of_epoch = (step + 1) % self.steps_per_epoch == 0
        telling = read >= _FIRST_CHECK or last_of_epoch or not allowed
        if telling and len(self._bad) > allowed * read:
            names = ", ".join(f"{key} in {shard}" for shard, key in list(self._bad)[:3])
            raise DataError(
                f"{len(self._bad)} of {read} samples cannot be read, such as {names}; "
                f"data.max_bad_share is {allowed:g}",
                hint="The shards are damaged: copy them or prepare them again "
                "(pgseg data verify DIR lists what is wrong).",
            )


class _StepsFrom:
    """Step numbers without end, for a `DataLoader` to hand out."""

    def __init__(self, start: int) -> None:
        self._start = start

    def __iter__(self) -> Iterator[int]:
        return count(self._start)


def _as_it_is(reading: Any) -> Any:
    """Stand in for the loader's collation: a `Reading` is a whole batch already."""
    return reading


def _start_worker(_worker: int) -> None:
    """Leave Ctrl-C to the training process, and give each reading process one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
