"""What `pgseg sweep` does once its options are read: checks, runs, collects, draws.

Imports torch, so the command imports it when it runs. It knows which commands make a cell; how they
are run side by side and what becomes of their reports is `pgseg_core/experiments`.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pgseg_backends.registry import load_backend
from pgseg_cli.console import next_step, print_table, progress_bar, say
from pgseg_core.atomic import whole_file
from pgseg_core.data.prepare.synthetic import prepare_scenes
from pgseg_core.data.segmentation import open_segmentation_set, regrouped
from pgseg_core.data.shards import find_shards
from pgseg_core.device import find_device
from pgseg_core.errors import ConfigError
from pgseg_core.evaluation.protocols import load_protocol
from pgseg_core.evaluation.resolve import Overrides, ask
from pgseg_core.experiments.figure import draw_table
from pgseg_core.experiments.plan import SCENES, Measurement, Plan, load_plan
from pgseg_core.experiments.queue import Crew, Outcome, Step
from pgseg_core.experiments.reuse import check_sweeps, find_same, take
from pgseg_core.experiments.runs import CellFolder
from pgseg_core.experiments.table import Table, collect
from pgseg_core.experiments.table_files import summary_rows, write_table
from pgseg_core.viz.sheet import save_figure

ON_TERMINAL = (
    "miou", "compactness", "richness", "groups_used", "same_as_others",
    "image_to_text", "text_to_image",
)  # fmt: skip
"""Measures that a terminal has room for; table.md has all."""
PROGRAM = (sys.executable, "-m", "pgseg_cli.main")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The options of `pgseg sweep`, which explains them."""

    file: Path
    out: Path
    only: Sequence[str]
    again: bool
    full: bool
    data: Path | None
    roots: Mapping[str, Path]
    reuse: Sequence[Path]
    jobs: int
    threads: int | None
    nproc: int | None
    dry_run: bool

    @property
    def command(self) -> str:
        """What makes the whole table again."""
        parts = ["pgseg", "sweep", str(self.file), "--out", str(self.out)]
        parts += ["--full"] if self.full else []
        parts += ["--data", str(self.data)] if self.data else []
        for name, root in self.roots.items():
            parts += ["--data-root", f"{name}={root}"]
        for sweep in self.reuse:
            parts += ["--reuse", str(sweep)]
        return shlex.join(parts)


def sweep(wanted: Wanted) -> int:
    """Make a table, or go on making it.

    Returns:
        The exit code: 130 after an interrupt, 2 where a run failed, else 0.

    Raises:
        PgsegError: The file, its data or the folder does not allow it; nothing has been run then.
    """
    plan = load_plan(
        wanted.file, wanted.out, full=wanted.full, data=wanted.data, roots=wanted.roots
    )
    chosen = plan.chosen(wanted.only)
    folders = [CellFolder.of(wanted.out, cell) for cell in chosen]
    _check(plan, wanted, folders)
    if wanted.dry_run:
        _show_cells(plan, wanted, folders)
        return 0
    _prepare(plan, wanted)
    outcomes = _run(plan, wanted, folders)
    table = _write(plan, wanted)
    _show(table, wanted)
    return _explain(outcomes, table, wanted)


def _check(plan: Plan, wanted: Wanted, folders: Sequence[CellFolder]) -> None:
    """Refuse what would fail later: data, sets, devices, engines, runs of another configuration."""
    if plan.scenes is None:
        find_shards(str(plan.data), plan.cells[0].config.data.split)
    for measurement in plan.measurements:
        drawn = plan.scenes is not None and Path(measurement.root).is_relative_to(plan.data)
        if drawn:
            continue
        if not measurement.segments:
            find_shards(measurement.root, measurement.split)
            continue
        images = open_segmentation_set(measurement.dataset, Path(measurement.root))
        if measurement.regroup:
            images = regrouped(images, Path(measurement.regroup))
        overrides = Overrides(
            background=measurement.background,
            background_words=measurement.background_words or None,
        )
        ask(images, load_protocol(measurement.protocol), overrides)
    for config in {cell.config.train.backend: cell.config for cell in plan.cells}.values():
        load_backend(config.train.backend)
    for device in {cell.config.train.device for cell in plan.cells}:
        find_device(device)
    check_sweeps(wanted.reuse)
    if not wanted.again:
        for folder in folders:
            folder.check()


def _prepare(plan: Plan, wanted: Wanted) -> None:
    """Draw the scenes that the file asks for, and keep the file beside what is made from it."""
    if plan.scenes is not None:
        options = replace(plan.scenes, processes=wanted.jobs)
        with progress_bar("drawing scenes") as bar:
            prepare_scenes(plan.data, options, on_progress=lambda done, all_: bar(done, all_, ""))
    with whole_file(wanted.out / "sweep.yaml") as copy:
        shutil.copyfile(plan.path, copy)


def _run(plan: Plan, wanted: Wanted, folders: Sequence[CellFolder]) -> list[Outcome]:
    todo = [f for f in folders if wanted.again or f.progress(plan.measurements) != "finished"]
    kept = len(folders) - len(todo)
    say(
        f"{plan.title}: {len(todo)} runs to do"
        + (f", {kept} finished before" if kept else "")
        + f", {wanted.jobs} at a time, in {wanted.out}"
    )
    ended: list[Outcome] = []

    def tell(outcome: Outcome) -> None:
        ended.append(outcome)
        if outcome.how == "failed" and outcome.step is not None:
            say(f"failed: {outcome.folder.cell.name}, {outcome.step.what}: {_last_words(outcome)}")
        elif outcome.how == "done":
            say(f"[{len(ended)}/{len(todo)}] {outcome.folder.cell.name}")

    crew = Crew(wanted.jobs, lambda place: _environment(place, wanted), tell)
    return crew.run(todo, lambda folder: steps_of(plan, wanted, folder))


def steps_of(plan: Plan, wanted: Wanted, folder: CellFolder) -> list[Step]:
    """Say which commands a cell still needs."""
    if wanted.again:
        folder.clear()
    elif not folder.is_started() and (other := find_same(folder, wanted.reuse)):
        say(f"{folder.cell.name}: taken from {other.path}")
        take(folder, other, plan.measurements)
    steps = []
    if not folder.is_trained():
        folder.check()
        folder.prepare()
        start = ["--preset", str(folder.config), "--out", str(folder.run)]
        go_on = ["--resume", str(folder.run)]
        ranks = ["--nproc", str(wanted.nproc)] if wanted.nproc else []
        options = [*(go_on if folder.is_started() else start), *ranks]
        steps.append(Step("training", (*PROGRAM, "train", *options)))
    return [*steps, *(_measure(folder, m) for m in folder.missing(plan.measurements))]


def _measure(folder: CellFolder, measurement: Measurement) -> Step:
    shutil.rmtree(folder.measured(measurement), ignore_errors=True)  # an answer to another question
    folder.note_asked(measurement)
    options = ["--weights", str(folder.run), "--data-root", measurement.root]
    options += ["--out", str(folder.measured(measurement))]
    options += ["--device", folder.cell.config.train.device]
    if measurement.segments:
        options += ["--dataset", measurement.dataset, "--quality"]
        options += ["--protocol", measurement.protocol, "--background", measurement.background]
        if measurement.background_words:
            options += ["--background-words", measurement.background_words]
        options += ["--regroup", measurement.regroup] if measurement.regroup else []
        options += ["--limit", str(measurement.limit)] if measurement.limit else []
    else:
        options += ["--task", "retrieval", "--split", measurement.split]
    return Step(f"measuring on {measurement.dataset}", (*PROGRAM, "eval", *options))


def _environment(place: int, wanted: Wanted) -> dict[str, str]:
    """Share cores, and where there are several GPUs and runs at once, GPUs."""
    threads = wanted.threads or max(1, (os.cpu_count() or 1) // wanted.jobs)
    variables = {"OMP_NUM_THREADS": str(threads), "COLUMNS": "120"}
    gpus = torch.cuda.device_count()
    if wanted.jobs > 1 and gpus > 1:
        variables["CUDA_VISIBLE_DEVICES"] = share_gpus(
            os.environ.get("CUDA_VISIBLE_DEVICES", ""), gpus, place, wanted.jobs
        )
    return variables


def share_gpus(visible: str, count: int, place: int, jobs: int) -> str:
    """Return the GPUs of one place: every `jobs`-th, or one of them where there are fewer.

    Args:
        visible: CUDA_VISIBLE_DEVICES as it is; empty for all.
        count: How many GPUs that is.
        place: Of the run among those at once, from 0.
        jobs: How many run at once.
    """
    names = visible.split(",") if visible else [str(number) for number in range(count)]
    return ",".join(names[place::jobs] or [names[place % count]])


def _last_words(outcome: Outcome) -> str:
    """Return the error that a cell's log ends with, and where the log is."""
    lines = outcome.folder.log.read_text("utf-8", "replace").splitlines()
    said = [line for line in lines if line.startswith("error: ")] or lines or ["nothing was said"]
    return f"{said[-1].removeprefix('error: ')} ({outcome.folder.log})"


def _write(plan: Plan, wanted: Wanted) -> Table:
    table = collect(plan, wanted.out)
    write_table(table, wanted.out, command=wanted.command)
    if table.sets:
        figure = draw_table(table)
        for suffix in ("png", "svg"):
            save_figure(figure, wanted.out / f"figure.{suffix}")
    return table


def _show(table: Table, wanted: Wanted) -> None:
    for part in table.sets:
        shown = [measure for measure in part.measures if measure.key in ON_TERMINAL]
        heads, rows = summary_rows(part, shown)
        print_table(f"{table.plan.title} ({part.measurement.dataset})", heads, rows)
    say(f"{wanted.out / 'table.md'}, .csv, .json; {wanted.out / 'figure.png'}, .svg")


def _explain(outcomes: Sequence[Outcome], table: Table, wanted: Wanted) -> int:
    """Say what is missing and how to go on, and return the exit code."""
    ends = [outcome.how for outcome in outcomes]
    elsewhere = ends.count("elsewhere")
    if elsewhere:
        say(f"{elsewhere} runs are being worked on by another pgseg sweep")
    if not table.whole:
        say(f"{table.finished} of {len(table.plan.cells)} runs of the table are finished")
        next_step(wanted.command)
    return 130 if "stopped" in ends else 2 if "failed" in ends else 0


def _show_cells(plan: Plan, wanted: Wanted, folders: Sequence[CellFolder]) -> None:
    rows = [
        (
            folder.cell.name,
            folder.progress(plan.measurements),
            " ".join(f"{k}={v}" for k, v in plan.rows[folder.cell.row].items()) or "-",
        )
        for folder in folders
    ]
    print_table(f"{plan.title}: {wanted.out}", ("run", "so far", "what it changes"), rows)


def parse_roots(given: Sequence[str]) -> dict[str, Path]:
    """Read `--data-root SET=DIR`.

    Raises:
        ConfigError: One is not of that form.
    """
    roots = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not equals or not name or not folder:
            raise ConfigError(
                f"--data-root {text}: not of the form SET=DIR",
                hint=f"For example: --data-root {SCENES}=data/scenes/eval",
            )
        roots[name] = Path(folder)
    return roots
