"""How many processes `pgseg train` runs, where, and with which engine.

Imports torch, so the command imports it when it runs.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import typer

from pgseg_backends.ds_config import precision_of
from pgseg_backends.hosts import own_node, read_hostfile, start_hosts
from pgseg_backends.launch import is_started_rank, start_ranks
from pgseg_backends.registry import check_settings
from pgseg_backends.world import find_world
from pgseg_core.config import Config
from pgseg_core.data.shards import find_shards
from pgseg_core.errors import ConfigError
from pgseg_core.train.run import check_batch, settled
from pgseg_core.train.run_folder import RunFolder
from pgseg_core.train.trackers import check_trackers


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line says about engine and processes."""

    backend: str | None
    deepspeed: Path | None
    timeout: float | None
    nproc: int | None
    hostfile: Path | None


def with_engine(config: Config, asked: Asked) -> Config:
    """Apply the options that say how the steps are run; several processes are `ddp` by default.

    Raises:
        ConfigError: They contradict each other.
    """
    if asked.deepspeed is not None and asked.backend not in (None, "deepspeed"):
        raise ConfigError(
            f"--deepspeed and --backend {asked.backend} contradict each other",
            hint="Give one of them.",
        )
    if asked.hostfile is not None and asked.nproc is not None:
        raise ConfigError(
            "--hostfile and --nproc contradict each other",
            hint="The hostfile's slots say how many processes run on each machine.",
        )
    train = config.train
    chosen = asked.backend or ("deepspeed" if asked.deepspeed else train.backend)
    several = (asked.nproc or 1) > 1 or find_world().size > 1 or asked.hostfile is not None
    if chosen == "single" and several:
        if asked.backend == "single":
            raise ConfigError(
                "--backend single is one process", hint="Use --backend ddp, or drop --nproc."
            )
        chosen = "ddp"
    file = str(asked.deepspeed.resolve()) if asked.deepspeed else train.deepspeed
    precision = train.precision
    if precision == "auto" and chosen == "deepspeed":
        precision = precision_of(file) or precision
    changed = replace(
        train,
        backend=chosen,
        deepspeed=file,
        timeout=asked.timeout or train.timeout,
        precision=precision,
    )
    return settled(replace(config, train=changed))


def num_ranks(config: Config, nproc: int | None) -> int:
    """Return how many processes to start here; 1 inside a world that a launcher has started."""
    if find_world().size > 1:
        return 1
    if nproc is not None:
        return nproc
    on_cuda = config.train.backend != "single" and config.train.device in ("auto", "cuda")
    return max(1, torch.cuda.device_count()) if on_cuda else 1


def start_elsewhere(config: Config, run: RunFolder, asked: Asked, *, resumed: bool) -> bool:
    """Run this command line once per rank, here or on the hostfile's machines, if that is asked.

    Returns:
        False if this process is itself to train.

    Raises:
        PgsegError: Something can be seen to be wrong before any rank starts, or a rank failed.
    """
    line = ["-m", "pgseg_cli.main", *sys.argv[1:]]
    if is_started_rank():
        return False
    placed = own_node()
    if placed is not None:
        node, slots = placed
        _leave(start_ranks(line, slots, node, again=lambda: _again(run, "--hostfile HOSTS")))
        return True
    if asked.hostfile is not None and find_world().size == 1:
        hosts = read_hostfile(asked.hostfile)
        check_start(config, run, sum(host.slots for host in hosts), resumed=resumed)
        _leave(start_hosts(hosts, line))
        return True
    count = num_ranks(config, asked.nproc)
    if count > 1:
        check_start(config, run, count, resumed=resumed)
        _leave(start_ranks(line, count, again=lambda: _again(run, f"--nproc {count}")))
        return True
    return False


def check_start(config: Config, run: RunFolder, count: int, *, resumed: bool) -> None:
    """Find what can be found wrong before any rank starts.

    Raises:
        PgsegError: The first thing that is wrong.
    """
    check_settings(config.train, count)
    check_batch(config.train, count)
    check_trackers(config.train.trackers)
    find_shards(config.data.shards, config.data.split)
    if not resumed:
        run.check_free()


def _again(run: RunFolder, where: str) -> str:
    if run.has_begun():
        return f"Go on from the newest checkpoint: pgseg train --resume {run.path} {where}"
    return "It had not begun to train: run the same command again"


def _leave(code: int) -> None:
    if code:
        raise typer.Exit(code)
