"""Step number to batch: everything a reading process does, as a pure function of the settings.

Batch s of rank r is the same whoever makes it and whatever was made before, so reading processes,
ranks and restarts cannot change what a model is trained on.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from pgseg_core.config.schema import DataConfig
from pgseg_core.data.batch import NO_NOUN, Batch
from pgseg_core.data.jpeg import BoxReader
from pgseg_core.data.order import EpochOrder
from pgseg_core.data.shards import Shard, ShardReader
from pgseg_core.data.transforms import random_box, sample_generator, to_square
from pgseg_core.errors import DataError

Tokenize = Callable[[Sequence[str]], Tensor]
"""Captions to ids (b t)."""
FindNouns = Callable[[str], tuple[str, ...]]
"""A caption to the nouns in it."""

NOUN_TEMPLATES = ("a photo of a {}.", "a picture of a {}.", "an image of a {}.", "there is a {}.")
"""Sentences that nouns are put into for the multi-label loss."""

_MAX_NOUNS = 64  # of an image's captions that are compared with other images' prompts
_OVERSAMPLING = 2  # what a JPEG decoded at a smaller size keeps over what the network sees
_OPEN_SHARDS = 64
_REPLACEMENTS = 100


@dataclass(frozen=True)
class BadSample:
    """A sample that could not be read.

    Attributes:
        shard: The tar it lies in.
        key: Its key in the tar.
        reason: What is wrong with it.
    """

    shard: Path
    key: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """What one step's reading gave.

    Attributes:
        batch: The batch; None if too many samples in a row could not be read.
        bad: The samples that were passed over.
        error: Why there is no batch. An error is a value here, because an exception that crosses
            from a reading process to the training process loses its type and hint.
    """

    batch: Batch | None
    bad: tuple[BadSample, ...] = ()
    error: DataError | None = None

    def pin_memory(self) -> "Reading":
        """Return the same with its batch in page-locked memory."""
        batch = None if self.batch is None else self.batch.pin_memory()
        return Reading(batch, self.bad, self.error)


@dataclass(frozen=True, kw_only=True)
class ReadingPlan:
    """All that decides what a step's batch is; small, and the same in every process.

    Attributes:
        shards: What is read.
        data: Augmentation, nouns and shuffling.
        image_size: Side of the square images in pixels.
        tokenize: Captions to ids.
        batch_size: Pairs per step of one rank (b).
        seed: Seed of the order, augmentation and choice of captions.
        rank: This process among all, from 0.
        world_size: Number of processes that train together.
        find_nouns: Finds the nouns of a caption; needed where `data.num_nouns` is not 0.
    """

    shards: tuple[Shard, ...]
    data: DataConfig
    image_size: int
    tokenize: Tokenize
    batch_size: int
    seed: int
    rank: int
    world_size: int
    find_nouns: FindNouns | None

    @property
    def num_samples(self) -> int:
        """Pairs in an epoch, over all ranks."""
        return sum(shard.num_samples for shard in self.shards)

    @property
    def global_batch_size(self) -> int:
        """Pairs per step over all ranks."""
        return self.batch_size * self.world_size

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in an epoch; what is left over comes first in no epoch, by the shuffle."""
        return self.num_samples // self.global_batch_size


class BatchReader(Dataset[Reading]):
    """Makes the batch of any step. Each reading process has its own, with its own open files."""

    def __init__(self, plan: ReadingPlan) -> None:
        self._plan = plan
        self._boxes = BoxReader()
        self._order: tuple[int, EpochOrder] | None = None
        self._open: OrderedDict[int, ShardReader] = OrderedDict()

    def __getitem__(self, step: int) -> Reading:
        """Read the batch of a step, counted from 0 over all epochs."""
        plan = self._plan
        epoch, inside = divmod(step, plan.steps_per_epoch)
        first = inside * plan.global_batch_size + plan.rank * plan.batch_size
        size = plan.image_size
        images = torch.empty(
            *(plan.batch_size, 3, size, size),
            dtype=torch.uint8,
            memory_format=torch.channels_last,  # as decoded; turning it around is for the device
        )
        pairs: list[_Pair] = []
        bad: list[BadSample] = []
        try:
            for slot in range(plan.batch_size):
                pair = self._read_good(epoch, first + slot, bad)
                images[slot] = pair.image
                pairs.append(pair)
        except DataError as error:
            return Reading(None, tuple(bad), error)
        nouns = self._nouns(pairs)
        tokens = plan.tokenize([pair.caption for pair in pairs])
        return Reading(Batch(images, tokens, **nouns), tuple(bad))

    def _read_good(self, epoch: int, position: int, bad: list[BadSample]) -> "_Pair":
        """Read the sample at a position of the epoch, or the next good one a step further on.

        The same position in the following steps keeps the replacement out of this batch; it is then
        seen twice in the epoch.
        """
        plan = self._plan
        order = self._epoch_order(epoch)
        for attempt in range(_REPLACEMENTS):
            there = (position + attempt * plan.global_batch_size) % len(order)
            shard, inside = order.place(there)
            reader = self._reader(shard)
            key = reader.index.keys[inside]
            try:
                return self._read_pair(reader, inside, epoch)
            except DataError as error:
                reason = error.message.removeprefix(f"{reader.path}: ")
                bad.append(BadSample(reader.path, key, reason))
        raise DataError(
            f"{_REPLACEMENTS} samples one after another cannot be read; the last is {key} in "
            f"{reader.path}: {bad[-1].reason}",
            hint="The shards are damaged: copy them or prepare them again.",
        )

    def _read_pair(self, reader: ShardReader, inside: int, epoch: int) -> "_Pair":
        plan, data = self._plan, self._plan.data
        sample = reader.read(inside)
        generator = sample_generator(plan.seed, epoch, f"{reader.path.name}/{sample.key}")
        mirrored = generator.random() < data.flip
        pixels = self._boxes.read(
            sample.image,
            lambda width, height: random_box(width, height, data.crop_scale, generator),
            at_least=_OVERSAMPLING * plan.image_size,
            name=f"{reader.path}: {sample.key}",
        )
        square = to_square(pixels, plan.image_size)
        caption = generator.choice(sample.captions)
        nouns: list[str] = []
        if data.num_nouns and plan.find_nouns is not None:
            nouns = list(dict.fromkeys(n for c in sample.captions for n in plan.find_nouns(c)))
        asked = generator.sample(nouns, min(data.num_nouns, len(nouns)))
        prompts = [generator.choice(NOUN_TEMPLATES).replace("{}", noun) for noun in asked]
        missing = data.num_nouns - len(prompts)
        return _Pair(
            image=square.flip(-1) if mirrored else square,
            caption=caption,
            prompts=prompts + [caption] * missing,
            asked=asked + [caption] * missing,
            present=nouns + [caption] * bool(missing),
        )

    def _nouns(self, pairs: Sequence["_Pair"]) -> dict[str, Int[Tensor, "b ..."]]:
        if not self._plan.data.num_nouns:
            return {}
        tokens = self._plan.tokenize([prompt for pair in pairs for prompt in pair.prompts])
        present = torch.full((len(pairs), _MAX_NOUNS), NO_NOUN)
        for row, pair in enumerate(pairs):
            # what the image is asked about is never cut off
            names = list(dict.fromkeys([*pair.asked, *pair.present]))[:_MAX_NOUNS]
            present[row, : len(names)] = torch.tensor([_number(name) for name in names])
        return {
            "noun_tokens": tokens.view(len(pairs), self._plan.data.num_nouns, -1),
            "noun_ids": torch.tensor([[_number(name) for name in pair.asked] for pair in pairs]),
            "image_nouns": present,
        }

    def _epoch_order(self, epoch: int) -> EpochOrder:
        if self._order is None or self._order[0] != epoch:
            plan = self._plan
            counts = [shard.num_samples for shard in plan.shards]
            shuffle = plan.data.shuffle_buffer
            self._order = (
                epoch,
                EpochOrder(counts, shuffle=shuffle, seed=plan.seed, epoch=epoch),
            )
        return self._order[1]

    def _reader(self, number: int) -> ShardReader:
        """Return the open shard, closing the one that was not used for longest."""
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        shard = self._plan.shards[number]
        reader = ShardReader(shard.path)
        if len(reader) != shard.num_samples:
            raise DataError(
                f"the shard {shard.path} holds {len(reader)} samples, not {shard.num_samples}",
                hint="It changed since it was prepared: prepare the data again.",
            )
        self._open[number] = reader
        if len(self._open) > _OPEN_SHARDS:
            self._open.popitem(last=False)[1].close()
        return reader


@dataclass(frozen=True, kw_only=True)
class _Pair:
    image: UInt8[Tensor, "3 s s"]
    caption: str
    prompts: list[str]
    """One for each noun that is asked for; the caption itself where there are too few nouns."""
    asked: list[str]
    """What each prompt is about."""
    present: list[str]
    """All that the image's captions name."""


def _number(name: str) -> int:
    """Number a noun: equal for equal words in any process, never negative."""
    digest = hashlib.blake2b(name.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
