"""Synthetic scenes to shards: the embedded set, through the same writer as real pairs.

Scenes are a function of (seed, index), so a split is a range of indices. The ranges are far apart:
a larger training set leaves the others as they were.
"""

import multiprocessing
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from PIL import Image

from pgseg_core.data.manifest import Manifest, request_hash
from pgseg_core.data.prepare.accounts import SourceKind
from pgseg_core.data.prepare.build import Prepared, nothing_left
from pgseg_core.data.prepare.encode import encode_jpeg
from pgseg_core.data.prepare.folder import finish, open_preparation
from pgseg_core.data.prepare.journal import Header, Journal
from pgseg_core.data.prepare.samples import Sample
from pgseg_core.data.prepare.writer import ShardLimits, write_shards
from pgseg_core.data.scenes import render_scene
from pgseg_core.data.scenes import write_evaluation_set as write_scene_set
from pgseg_core.errors import ConfigError
from pgseg_core.version import VERSION

EVALUATION_FOLDER = "eval"
"""Folder of test scenes with masks inside a prepared folder; opens as the set `scenes`."""

_CHUNK = 16
_SPLIT_ROOM = 10_000_000
_FIRST_INDEX = {"train": 0, "val": _SPLIT_ROOM, "test": 2 * _SPLIT_ROOM}


@runtime_checkable
class RenderedScene(Protocol):
    """What is needed of a scene."""

    @property
    def image(self) -> Image.Image:
        """RGB."""
        ...

    @property
    def captions(self) -> tuple[str, ...]:
        """One or more."""
        ...


RenderScene = Callable[[int, int, int], RenderedScene]
"""(seed, index, size in pixels) to a scene."""
Progress = Callable[[int, int], None]
"""Called with (scenes drawn, scenes in all)."""
WriteEvaluationSet = Callable[[Path, int, Iterable[int], int], int]
"""(folder, seed, indices, size in pixels): writes images/, masks/ and classes.txt."""


@dataclass(frozen=True, kw_only=True)
class SceneOptions:
    """How many scenes, and what they are like."""

    seed: int = 0
    """Another seed gives other scenes."""
    size: int = 128
    """Side of the square scenes in pixels."""
    train: int = 5_000
    """Scenes in split train."""
    val: int = 500
    """Scenes in split val."""
    test: int = 500
    """Scenes in split test, which are also written with masks for evaluation."""
    samples_per_shard: int = 1000
    """Largest number of scenes in one shard."""
    processes: int = 1
    """Processes that draw; does not change the result."""

    def __post_init__(self) -> None:
        for name in _FIRST_INDEX:
            if not 0 <= getattr(self, name) <= _SPLIT_ROOM:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}",
                    hint=f"Give a number from 0 to {_SPLIT_ROOM}.",
                )
        for name in ("size", "samples_per_shard", "processes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}", hint="Give a number above 0.")


def draw_scene(seed: int, index: int, size: int) -> RenderedScene:
    """Render one square scene of the embedded set."""
    return render_scene(seed, index, (size, size))


def draw_evaluation_set(folder: Path, seed: int, indices: Iterable[int], size: int) -> int:
    """Write square scenes of the embedded set with their masks; returns how many."""
    return write_scene_set(folder, seed, indices, (size, size))


def prepare_scenes(
    out: Path,
    options: SceneOptions,
    *,
    render: RenderScene = draw_scene,
    write_evaluation_set: WriteEvaluationSet = draw_evaluation_set,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Prepared:
    """Render scenes into shards, and the test scenes with masks into `eval/`.

    Args:
        out: Folder for the shards; new, empty, or prepared before.
        options: How many scenes, and what they are like.
        render: Draws one scene; a module's own function (no lambda) where `processes` is not 1.
        write_evaluation_set: Draws scenes with masks into a folder.
        overwrite: Whether another finished preparation in the folder may be replaced.
        on_progress: Told after every scene.

    Raises:
        DataError: The folder is somebody else's or cannot be written, or no scene is asked for.
    """
    settings = {
        "seed": options.seed,
        "size": options.size,
        "samples_per_shard": options.samples_per_shard,
        **{split: getattr(options, split) for split in _FIRST_INDEX},
    }
    header = Header(
        request=request_hash({"scenes": settings, "pgseg": VERSION}),
        sources=(f"synthetic scenes, seed {options.seed}",),
        options=settings,
    )
    evaluation = out / EVALUATION_FOLDER
    journal = open_preparation(out, header, overwrite=overwrite)
    if isinstance(journal, Manifest):
        if not options.test or evaluation.is_dir():
            return Prepared(journal, was_there=True)
        write_evaluation_set(evaluation, options.seed, _indices("test", options), options.size)
        return Prepared(journal, was_there=False)
    ranges = [_indices(split, options) for split in _FIRST_INDEX]
    try:
        shutil.rmtree(evaluation, ignore_errors=True)
        samples = _samples(options, render, journal, on_progress)
        write_shards(samples, out, journal, ShardLimits(options.samples_per_shard))
        manifest = journal.manifest([SourceKind("scenes", sum(map(len, ranges)))])
        if not manifest.images_kept:
            journal.discard()
            raise nothing_left(manifest)
        if options.test:
            write_evaluation_set(evaluation, options.seed, _indices("test", options), options.size)
        finish(out, journal, manifest)
    finally:
        journal.close()
    return Prepared(manifest, was_there=False)


def _samples(
    options: SceneOptions, render: RenderScene, journal: Journal, on_progress: Progress | None
) -> Iterator[Sample]:
    places = [(split, index) for split in _FIRST_INDEX for index in _indices(split, options)]
    undone = [place for place in places if not journal.is_done(*place)]
    draw = partial(_draw, render, options.seed, options.size)
    drawn = _in_order(draw, undone, options.processes)
    for done, sample in enumerate(drawn, start=len(places) - len(undone) + 1):
        yield sample
        if on_progress is not None:
            on_progress(done, len(places))


def _draw(render: RenderScene, seed: int, size: int, place: tuple[str, int]) -> Sample:
    split, index = place
    scene = render(seed, index, size)
    name = f"scene {index}"
    image = encode_jpeg(scene.image, name=name)
    return Sample(index, 0, split, name, scene.captions, image)


def _in_order(
    draw: Callable[[tuple[str, int]], Sample], places: list[tuple[str, int]], processes: int
) -> Iterator[Sample]:
    """Draw on several processes (drawing is Python), keeping the order."""
    if processes == 1:
        yield from map(draw, places)
        return
    with multiprocessing.Pool(processes, initializer=_leave_interrupts) as pool:
        yield from pool.imap(draw, places, chunksize=_CHUNK)


def _leave_interrupts() -> None:
    """Leave Ctrl-C to the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _indices(split: str, options: SceneOptions) -> range:
    count: int = getattr(options, split)
    return range(_FIRST_INDEX[split], _FIRST_INDEX[split] + count)
