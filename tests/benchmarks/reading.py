"""Images per second and core from shards to normalised batches, beside PIL with torchvision.

    python -m tests.benchmarks.reading                 # short sides 256 and 512, and the tokenizer
    python -m tests.benchmarks.reading --memory        # 100,000 samples through four workers

Both pipelines read the same samples from the same shard, cut a RandomResizedCrop of 224 (bicubic),
flip, normalise and tokenise one caption, batch by batch, in turn in one process with one thread.
What counts is processor time, so that a busy machine changes little.
"""

import argparse
import io
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from pgseg_core.config.schema import DataConfig
from pgseg_core.data.batch_reader import BatchReader, ReadingPlan
from pgseg_core.data.pipeline import TrainingReader
from pgseg_core.data.shards import Shard, ShardReader, find_shards
from pgseg_core.data.transforms import IMAGENET_MEAN, IMAGENET_STD, normalise_batch
from pgseg_core.text.tokenizer import Tokenizer
from tests.benchmarks.photos import find_photos, write_shard

SIZE = 224
BATCH = 32


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    options.add_argument("--photos", type=Path, help="folder with captions.tsv and images/")
    options.add_argument("--count", type=int, default=320, help="photos (default 320)")
    options.add_argument("--repeats", type=int, default=5, help="rounds; the median counts")
    options.add_argument("--memory", action="store_true", help="measure memory instead")
    options.add_argument("--json", action="store_true", help="print the figures as JSON")
    asked = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        measure = measure_memory if asked.memory else measure_speed
        figures = measure(asked, Path(temporary))
    lines = [f"{name}: {value}" for name, value in figures.items()]
    sys.stdout.write((json.dumps(figures) if asked.json else "\n".join(lines)) + "\n")


def measure_speed(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Time both pipelines at both sizes."""
    source, photos = find_photos(asked.photos, asked.count)
    figures: dict[str, Any] = {"photos": f"{len(photos)} of {source}"}
    for side in (256, 512):
        path = write_shard(folder / f"{side}.tar", photos, side)
        rivals = {
            "usual": usual_pipeline(path, "bicubic"),
            "usual, bilinear": usual_pipeline(path, "bilinear"),
            "pgseg": our_pipeline(path),
        }
        times = in_turn(rivals, asked.repeats)
        rates = {name: len(photos) / seconds for name, seconds in times.items()}
        for name, rate in rates.items():
            figures[f"{side}: {name}, images/s a core"] = round(rate)
        figures[f"{side}: pgseg / usual"] = round(rates["pgseg"] / rates["usual"], 2)
    texts = [caption for _, captions in photos for caption in captions]
    figures |= tokenizer_figures(texts, asked.repeats)
    return figures


def in_turn(rivals: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Return each one's median processor time in seconds, after a round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for number in range(repeats + 1):
        for name, run in rivals.items():
            start = time.process_time()
            run()
            if number:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def our_pipeline(path: Path) -> Callable[[], None]:
    """What training does: bytes from the reader, normalised where the model is."""
    plan = reading_plan(find_shards(path))

    def run() -> None:
        reader = BatchReader(plan)
        for step in range(plan.steps_per_epoch):
            reading = reader[step]
            assert reading.batch is not None
            normalise_batch(reading.batch.images)

    return run


def reading_plan(shards: tuple[Shard, ...], batch_size: int = BATCH) -> ReadingPlan:
    return ReadingPlan(
        shards=shards,
        data=DataConfig(workers=0),
        image_size=SIZE,
        tokenize=Tokenizer(77),
        batch_size=batch_size,
        seed=0,
        rank=0,
        world_size=1,
        find_nouns=None,
    )


def usual_pipeline(path: Path, interpolation: str) -> Callable[[], None]:
    """PIL, torchvision's transforms and open_clip's tokenizer, collated by torch."""
    from open_clip.tokenizer import SimpleTokenizer
    from torch.utils.data import default_collate
    from torchvision import transforms

    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(
                SIZE, interpolation=transforms.InterpolationMode(interpolation)
            ),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )
    tokenize = SimpleTokenizer()

    def samples() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        with ShardReader(path) as reader:
            for position in range(len(reader)):
                raw = reader.read(position)
                image = Image.open(io.BytesIO(raw.image)).convert("RGB")
                yield transform(image), tokenize([raw.captions[0]])[0]

    def run() -> None:
        waiting = []
        for pair in samples():
            waiting.append(pair)
            if len(waiting) == BATCH:
                default_collate(waiting)
                waiting = []

    return run


def tokenizer_figures(texts: list[str], repeats: int) -> dict[str, Any]:
    """Time the tokenizers on captions they have seen, and compare their ids."""
    from open_clip.tokenizer import SimpleTokenizer

    theirs, ours = SimpleTokenizer(), Tokenizer(77)
    assert torch.equal(ours(texts), theirs(texts, context_length=77))
    times = in_turn({"open_clip": lambda: theirs(texts), "pgseg": lambda: ours(texts)}, repeats)
    return {
        f"tokenizer: {name}, microseconds a caption": round(seconds / len(texts) * 1e6, 1)
        for name, seconds in times.items()
    }


def measure_memory(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Read 100,000 samples with four workers, and watch what the processes hold."""
    source, photos = find_photos(asked.photos, 1000)
    first = write_shard(folder / "00000.tar", photos, 256)
    for number in range(1, 100_000 // len(photos)):
        os.link(first, folder / f"{number:05d}.tar")
    plan = reading_plan(find_shards(folder), batch_size=256)
    reader = TrainingReader(
        plan.shards,
        DataConfig(workers=4),
        image_size=SIZE,
        tokenize=plan.tokenize,
        batch_size=plan.batch_size,
        seed=0,
    )
    held: list[float] = []
    for step, _batch in enumerate(reader.batches()):
        held.append(megabytes_held())
        if step + 1 == reader.steps_per_epoch:
            break
    quarter = len(held) // 4
    return {
        "photos": f"{reader.num_samples} of {source}, batch {plan.batch_size}, 4 workers",
        "largest, MB": round(max(held)),
        "mean of the second quarter, MB": round(statistics.mean(held[quarter : 2 * quarter])),
        "mean of the last quarter, MB": round(statistics.mean(held[-quarter:])),
    }


def megabytes_held() -> float:
    """What this process and its readers hold, shared pages counted once (proportional set)."""
    numbers = ["self", *(str(child.pid) for child in multiprocessing.active_children())]
    return sum(_proportional(Path("/proc", number)) for number in numbers) / 1e3


def _proportional(process: Path) -> int:
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:  # It ended while we looked.
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
