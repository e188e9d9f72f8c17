"""Cost against size: samples in training data, windows of an image, its area.

    python -m tests.benchmarks.scale                       # about two minutes
    python -m tests.benchmarks.scale --plot docs/figures/scale.svg

What counts is processor time of one thread, the least of several rounds, since other work on a
machine only adds to it. A million samples are a thousand names (hard links) of one shard: the
reader opens, indexes and orders a thousand shards, and no disk is filled.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pgseg_core.config import InferenceConfig, load_config
from pgseg_core.data.batch_reader import BatchReader
from pgseg_core.data.shards import Shard
from pgseg_core.inference.class_bank import ClassBank
from pgseg_core.networks.grouping import build_model
from tests.benchmarks.photos import find_photos, write_shard
from tests.benchmarks.reading import megabytes_held, reading_plan
from tests.tiny import segmenter_of

SAMPLES = (1_000, 10_000, 100_000, 1_000_000)
WINDOWS = (1, 2, 4, 8, 16, 32, 64)
MEGAPIXELS = (0.25, 0.5, 1, 2, 4, 8, 16)
SHARD, BATCH, STEPS, SIDE = 1000, 64, 16, 64
Curve = dict[float, float]


def main() -> None:
    """Measure all three, print them, and draw them where that is asked for."""
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    options.add_argument("--rounds", type=int, default=3, help="of each size; the least counts")
    options.add_argument("--plot", type=Path, help="draw the curves into this file")
    options.add_argument("--json", action="store_true", help="print the figures as JSON")
    asked = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        reading, memory = samples(Path(temporary), asked.rounds)
    curves = {
        "samples in the data; ms a sample read": reading,
        "samples in the data; resident MB of a reading process": memory,
        "windows of an image; ms a window encoded": windows(asked.rounds),
        "megapixels of an image; ms a megapixel, read at 128 pixels": areas(asked.rounds),
    }
    lines = {
        title: ", ".join(f"{size:g}: {cost:.3g}" for size, cost in curve.items())
        for title, curve in curves.items()
    }
    shown = "\n".join(f"{title}: {line}" for title, line in lines.items())
    sys.stdout.write((json.dumps(lines) if asked.json else shown) + "\n")
    if asked.plot:
        plot(curves, asked.plot)


def samples(folder: Path, rounds: int) -> tuple[Curve, Curve]:
    """Return ms a sample and MB against the samples in the data, each read in a fresh process."""
    _, photos = find_photos(None, 50)
    small = [(image.resize((SIDE, SIDE)), captions) for image, captions in photos]
    first = write_shard(folder / "00000.tar", small * (SHARD // len(small)), SIDE)
    for number in range(1, max(SAMPLES) // SHARD):
        os.link(first, folder / f"{number:05d}.tar")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        seen = [pool.apply(read_some, (folder, count, rounds)) for count in SAMPLES]
    times, sizes = zip(*seen, strict=True)
    return dict(zip(SAMPLES, times, strict=True)), dict(zip(SAMPLES, sizes, strict=True))


def read_some(folder: Path, count: int, rounds: int) -> tuple[float, float]:
    """Read some batches of an epoch, as one reading process does; ms a sample, and MB then."""
    torch.set_num_threads(1)
    shards = tuple(Shard(folder / f"{at:05d}.tar", SHARD) for at in range(count // SHARD))
    reader = BatchReader(reading_plan(shards, batch_size=BATCH))
    steps = min(STEPS, count // BATCH)

    def run() -> None:
        for step in range(steps):
            assert reader[step].batch is not None

    seconds = least(run, rounds)
    return seconds / (steps * BATCH) * 1e3, megabytes_held()


def windows(rounds: int) -> Curve:
    """Return ms a window against the number of windows in one image."""
    segmenter = segmenter_of(*_tiny())
    reading = segmenter.reading
    found: Curve = {}
    for count in WINDOWS:
        width = reading.window + (count - 1) * reading.stride
        pixels = torch.randn(3, reading.window, width).numpy()
        seconds = least(lambda pixels=pixels: segmenter.region_field(pixels), rounds)
        found[count] = seconds / count * 1e3
    return found


def areas(rounds: int) -> Curve:
    """Return ms a megapixel against an image's area: resized, encoded, every pixel labelled."""
    segmenter = segmenter_of(*_tiny())
    vectors = torch.nn.functional.normalize(torch.randn(8, 128), dim=-1)
    bank = ClassBank(tuple(f"class {at}" for at in range(8)), vectors)
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    found: Curve = {}
    for area in MEGAPIXELS:
        height = round((area * 1e6 * 3 / 4) ** 0.5)
        photo = Image.fromarray(noise).resize((height * 4 // 3, height))
        seconds = least(lambda photo=photo: segmenter.segment(photo, bank), rounds)
        found[area] = seconds / area * 1e3
    return found


def least(run: Callable[[], object], rounds: int) -> float:
    """Return the least processor time of a few runs, after one that is not counted."""
    run()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def plot(curves: dict[str, Curve], file: Path) -> None:
    """Draw each curve in a panel of its own, sizes on a logarithmic axis, costs from 0."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    for axes, (title, curve) in zip(figure.subplots(2, 2).flat, curves.items(), strict=True):
        across, _, up = title.partition("; ")
        axes.plot(list(curve), list(curve.values()), "o-", color="#2a6f97", markersize=4)
        axes.set(xscale="log", xlabel=across, ylim=(0, max(curve.values()) * 1.25))
        axes.set_title(up, fontsize=9, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def _tiny() -> tuple[torch.nn.Module, InferenceConfig]:
    config = load_config("pgseg-tiny")
    return build_model(config.model), config.inference


if __name__ == "__main__":
    main()
