"""A run on disk: its configuration, log, curves and checkpoints.

runs/a/config.yaml                 the whole configuration
runs/a/log.jsonl                   one line every `train.log_every` steps
runs/a/tensorboard/                the same as curves
runs/a/checkpoints/step-0000500/   weights, configuration, optimiser; the newest few and the best
runs/a/best                        points at the best of those that were measured
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pgseg_core.atomic import whole_file, whole_folder
from pgseg_core.checkpoint import write_checkpoint
from pgseg_core.comm import Collectives, LocalCollectives
from pgseg_core.config import Config, config_values, load_config
from pgseg_core.errors import ConfigError
from pgseg_core.train import checkpoints
from pgseg_core.train.protocols import Engine
from pgseg_core.weights import CHECKPOINTS

CONFIG, LOG = "config.yaml", "log.jsonl"


class RunFolder:
    """Owns every path of one run.

    Args:
        path: The folder, on a disk that all ranks see.
        comm: The ranks that share it. Rank 0 writes; the others only add to checkpoints.
    """

    def __init__(self, path: Path, comm: Collectives | None = None) -> None:
        self.path = path
        self.comm = comm or LocalCollectives()

    @property
    def leads(self) -> bool:
        """Whether this process writes the files that there is one of."""
        return self.comm.rank == 0

    def shared_by(self, comm: Collectives) -> "RunFolder":
        """Return the same folder as one of several ranks sees it."""
        return RunFolder(self.path, comm)

    def has_begun(self) -> bool:
        """Whether there is a run here that `--resume` can go on with."""
        return (self.path / CONFIG).is_file()

    def check_free(self) -> None:
        """Refuse a folder that holds a run.

        Raises:
            ConfigError: Another run is here already.
        """
        if self.has_begun():
            raise ConfigError(
                f"{self.path} already holds a run",
                hint=f"Continue it: pgseg train --resume {self.path}   or choose another --out",
            )

    def create(self, config: Config) -> None:
        """Start a new run here.

        Raises:
            ConfigError: Another run is here already.
        """
        self.check_free()
        self.comm.barrier()
        if not self.leads:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        with whole_file(self.path / CONFIG) as file:
            file.write_text(yaml.safe_dump(config_values(config), sort_keys=False), "utf-8")

    def config(self) -> Config:
        """Read the run's configuration.

        Raises:
            ConfigError: There is no run here.
        """
        if not self.has_begun():
            raise ConfigError(
                f"{self.path} holds no run to resume", hint="Start one: pgseg train --out ..."
            )
        return load_config(self.path / CONFIG)

    def save(self, config: Config, engine: Engine, state: dict[str, Any]) -> Path:
        """Write a checkpoint, whole or not at all; drop all but the newest and the best.

        Every rank calls it; none returns before the checkpoint is there.

        Args:
            config: The run's configuration.
            engine: Supplies weights and optimiser state.
            state: Holds `step`, the number of steps done, which names the folder.
        """
        path = self.path / CHECKPOINTS / f"step-{state['step']:07d}"
        weights = engine.weights()
        with self._whole_folder(path) as folder:
            if weights is not None and self.leads:
                write_checkpoint(folder, config, weights, state)
            engine.save(folder)
        self._prune(config)
        return path

    def add_scores(self, config: Config, path: Path, scores: Mapping[str, float]) -> None:
        """Keep a checkpoint's scores beside it, and the best checkpoints beside the newest."""
        if self.leads:
            checkpoints.add_scores(path, scores)
        self._prune(config)

    def _prune(self, config: Config) -> None:
        if self.leads:
            keep_last, keep_best = config.train.keep_last, config.train.keep_best
            checkpoints.prune(self.path, keep_last=keep_last, keep_best=keep_best)

    @contextmanager
    def _whole_folder(self, path: Path) -> Iterator[Path]:
        """Yield one folder for all ranks to fill, which appears when the last has filled it."""
        temporary = path.with_name(f".{path.name}.tmp")
        if self.leads:
            with whole_folder(path, temporary=temporary):
                self.comm.barrier()
                yield temporary
                self.comm.barrier()
                checkpoints.seal(temporary)
        else:
            self.comm.barrier()
            yield temporary
            self.comm.barrier()
        self.comm.barrier()

    def append_log(self, entry: dict[str, Any]) -> None:
        """Add a line to the log."""
        if not self.leads:
            return
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def read_log(self) -> list[dict[str, Any]]:
        """Return the log's lines; a line cut off by a crash is left out."""
        entries = []
        log = self.path / LOG
        for line in log.read_text("utf-8").splitlines() if log.exists() else []:
            try:
                entries.append(json.loads(line))
            except ValueError:
                continue
        return entries

    def rewind_log(self, step: int) -> None:
        """Forget the lines after a step: a resumed run writes them again."""
        if not self.leads:
            return
        kept = [entry for entry in self.read_log() if entry["step"] <= step]
        with whole_file(self.path / LOG) as file:
            file.write_text("".join(json.dumps(entry) + "\n" for entry in kept), "utf-8")
