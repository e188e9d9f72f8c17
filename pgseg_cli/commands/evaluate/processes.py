"""Several processes for work that is no training: starting them, and each one's place."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from pgseg_backends.launch import die_with_parent, is_started_rank, start_ranks
from pgseg_backends.registry import load_backend
from pgseg_backends.world import find_world
from pgseg_cli.commands.evaluate.options import Place
from pgseg_cli.console import messages
from pgseg_core.config import parse_config
from pgseg_core.device import find_device
from pgseg_core.errors import ConfigError

_PATIENCE = 3600.0  # seconds that a rank which is done waits for the others


def started_elsewhere(nproc: int | None) -> bool:
    """Run this command line in several processes, where that is wanted and not done yet.

    Returns:
        Whether it was: then there is nothing left to do here.

    Raises:
        PgsegError: What a rank failed with.
    """
    if (nproc or 1) == 1 or is_started_rank() or find_world().size > 1:
        return False
    given = sys.argv[1:]
    code = start_ranks(
        ["-m", "pgseg_cli.main", *given],
        nproc or 1,
        again=lambda: f"Run it again: pgseg {shlex.join(given)}",
    )
    if code:
        raise typer.Exit(code)
    return True


@contextmanager
def session(device: str, backend: str | None) -> Iterator[Place]:
    """Join the other processes, if there are any; only the first one speaks.

    Args:
        device: `auto`, `cpu`, `cuda` or `mps`.
        backend: Whose process group is used; `ddp` for several processes when None.

    Raises:
        BackendError: No such backend, or the others do not come.
    """
    die_with_parent()
    world = find_world()
    name = backend or ("ddp" if world.size > 1 else "single")
    if name == "single" and world.size > 1:
        raise ConfigError("--backend single is one process", hint="Use --backend ddp.")
    settings = {"device": find_device(device).type, "timeout": _PATIENCE, "precision": "fp32"}
    opened = load_backend(name).open(parse_config({"train": settings}, origin="pgseg eval").train)
    if opened.comm.rank > 0:
        messages.quiet = True
    try:
        yield Place(opened.comm, opened.device)
    finally:
        opened.close()
