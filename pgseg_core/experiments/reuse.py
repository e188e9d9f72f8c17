"""Takes from other sweeps the runs that a table would only repeat.

Many tables share rows: the method as it is stands in every ablation of it. A run is the same where
its whole configuration is, seed and shards included; its training is taken then, and of its
measurements those that were asked alike.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pgseg_core.atomic import whole_folder
from pgseg_core.config import load_config
from pgseg_core.errors import ConfigError
from pgseg_core.experiments.plan import Measurement
from pgseg_core.experiments.runs import CellFolder


def check_sweeps(sweeps: Sequence[Path]) -> None:
    """Refuse folders that no sweep has written, and runs of options that are not known here.

    Raises:
        ConfigError: Names the first.
    """
    for sweep in sweeps:
        if not (sweep / "cells").is_dir():
            raise ConfigError(
                f"--reuse {sweep}: no folder of a sweep",
                hint="Name what another pgseg sweep had as --out; it has a folder cells.",
            )
        for config in _configs(sweep):
            load_config(config)


def find_same(folder: CellFolder, sweeps: Sequence[Path]) -> CellFolder | None:
    """Return a trained run of the same configuration; the earlier sweep's before a later one's."""
    for sweep in sweeps:
        for config in _configs(sweep):
            other = CellFolder(config.parent, folder.cell)
            if (
                other.path.resolve() != folder.path.resolve()
                and other.is_trained()
                and load_config(config) == folder.cell.config
            ):
                return other
    return None


def take(folder: CellFolder, other: CellFolder, measurements: Sequence[Measurement]) -> None:
    """Take a run and what was measured of it alike, as links where the file system has them.

    Args:
        folder: Not started yet.
        other: `find_same` found it.
        measurements: What the table asks for.
    """
    folder.prepare()
    for measurement in measurements:
        if not other.lacks(measurement) and other.asked(measurement).is_file():
            _copy(other.measured(measurement), folder.measured(measurement))
            folder.note_asked(measurement)
    _copy(other.run, folder.run)
    folder.log.write_text(f"trained as {other.path}\n", "utf-8")


def _configs(sweep: Path) -> list[Path]:
    return sorted(sweep.glob("cells/*/seed-*/config.yaml"))


def _copy(source: Path, target: Path) -> None:
    with whole_folder(target) as filled:
        shutil.copytree(source, filled, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
