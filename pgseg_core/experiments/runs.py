"""A sweep's folder: where each run and its measurements lie, and how far each has come.

OUT/sweep.yaml                                   the sweep file, as it was run
OUT/scenes/                                      data, where the sweep draws its own
OUT/cells/ROW/seed-0/config.yaml                 the run's whole configuration
OUT/cells/ROW/seed-0/run/                        as `pgseg train` writes it
OUT/cells/ROW/seed-0/eval/SET.json               what was asked of a set
OUT/cells/ROW/seed-0/eval/SET/report.json        as `pgseg eval` writes it
OUT/cells/ROW/seed-0/log.txt                     what both said
OUT/table.md, .csv, .json, figure.png, .svg      the table
"""

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from pgseg_core.atomic import whole_file
from pgseg_core.checkpoint import list_checkpoints
from pgseg_core.checkpoint.store import STATE
from pgseg_core.config import Config, config_values, load_config
from pgseg_core.errors import ConfigError
from pgseg_core.experiments.plan import Cell, Measurement
from pgseg_core.train.run_folder import CONFIG

REPORT = "report.json"

Progress = Literal["new", "training", "trained", "finished"]


@dataclass(frozen=True)
class CellFolder:
    """One cell on disk."""

    path: Path
    cell: Cell

    @classmethod
    def of(cls, out: Path, cell: Cell) -> "CellFolder":
        """Return the cell's folder within a sweep's."""
        return cls(out / cell.place, cell)

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.path / "run"

    @property
    def config(self) -> Path:
        """The configuration asked for; the run's own has `auto` replaced by what it was."""
        return self.path / CONFIG

    @property
    def log(self) -> Path:
        """What training and measuring said."""
        return self.path / "log.txt"

    def measured(self, measurement: Measurement) -> Path:
        """Folder of a set's report."""
        return self.path / "eval" / measurement.dataset

    def asked(self, measurement: Measurement) -> Path:
        """What was asked for a set's report: a file of the measurement's keys."""
        return self.path / "eval" / f"{measurement.dataset}.json"

    def note_asked(self, measurement: Measurement) -> None:
        """Write down what is asked."""
        with whole_file(self.asked(measurement)) as file:
            file.write_text(json.dumps(asdict(measurement), indent=1), "utf-8")

    def lacks(self, measurement: Measurement) -> bool:
        """Whether a set has no report yet, or one of another question.

        A report without a note of what was asked is taken for an answer.
        """
        if not (self.measured(measurement) / REPORT).is_file():
            return True
        try:
            there = json.loads(self.asked(measurement).read_text("utf-8"))
        except FileNotFoundError:
            return False
        return bool(there != asdict(measurement))

    def is_started(self) -> bool:
        """Whether there is a run to go on with."""
        return (self.run / CONFIG).is_file()

    def is_trained(self) -> bool:
        """Whether the run has done its last step; one whose last checkpoint is damaged has not."""
        checkpoints = list_checkpoints(self.run)
        if not checkpoints:
            return False
        try:
            state = json.loads((checkpoints[-1] / STATE).read_text("utf-8"))
        except (OSError, ValueError):
            return False
        return bool(state.get("finished"))

    def missing(self, measurements: tuple[Measurement, ...]) -> tuple[Measurement, ...]:
        """Return the sets that are still to be measured."""
        return tuple(m for m in measurements if self.lacks(m))

    def progress(self, measurements: tuple[Measurement, ...]) -> Progress:
        """Say how far the cell has come."""
        if not self.is_trained():
            return "training" if self.is_started() else "new"
        return "trained" if self.missing(measurements) else "finished"

    def check(self) -> None:
        """Refuse a folder whose run was configured otherwise.

        Raises:
            ConfigError: Names the first option that differs.
        """
        if not (self.is_started() and self.config.is_file()):
            return
        there = _flat(config_values(load_config(self.config)))
        wanted = _flat(config_values(self.cell.config))
        for key, value in wanted.items():
            if there[key] != value:
                raise ConfigError(
                    f"{self.run} was trained with {key} {there[key]!r}, and the sweep now "
                    f"says {value!r}",
                    hint=f"Take another --out, or train it anew: --again --only '{self.cell.row}'",
                )

    def prepare(self) -> None:
        """Make the folder and write the configuration."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_config(self.cell.config, self.config)

    def clear(self) -> None:
        """Remove the run and its measurements."""
        for folder in (self.run, self.path / "eval"):
            shutil.rmtree(folder, ignore_errors=True)
        self.log.unlink(missing_ok=True)

    @contextmanager
    def claimed(self) -> Iterator[int | None]:
        """Keep the cell from other sweeps in the same folder, on this machine or another.

        Yields:
            A file descriptor that holds the claim: hand it to the processes that work on the cell,
            so that it lasts as long as any of them. None where another sweep holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".claim").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield file.fileno()


def write_config(config: Config, path: Path) -> None:
    """Write a whole configuration as YAML, whole or not at all."""
    with whole_file(path) as file:
        file.write_text(yaml.safe_dump(config_values(config), sort_keys=False), "utf-8")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Name every option as `--set` does."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
