"""Which process of how many this is, read from the environment that a launcher left.

torchrun, the deepspeed launcher and `pgseg train --nproc` say RANK and WORLD_SIZE; srun says
SLURM_PROCID and SLURM_NTASKS. Without any of them this is a world of one.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pgseg_core.errors import BackendError

_SLURM_FIRST_PORT, _SLURM_PORTS = 20_000, 20_000


@dataclass(frozen=True)
class World:
    """A process's place among those that train together.

    Attributes:
        rank: This process among all, from 0.
        size: Number of processes on all machines.
        local_rank: This process among those of its machine; chooses the accelerator.
        address: Where rank 0 listens while the processes find each other.
        port: The TCP port it listens on.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    address: str = "127.0.0.1"
    port: int = 0


def find_world(environ: Mapping[str, str] | None = None) -> World:
    """Read this process's place from the environment.

    Raises:
        BackendError: A launcher's variables are incomplete or contradict each other.
    """
    found = os.environ if environ is None else environ
    if "RANK" in found or "WORLD_SIZE" in found:
        return _from_torchrun(found)
    if int(found.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in found:
        return _from_slurm(found)
    return World()


def _from_torchrun(found: Mapping[str, str]) -> World:
    rank, size = _number(found, "RANK"), _number(found, "WORLD_SIZE")
    if not 0 <= rank < size:
        raise BackendError(
            f"RANK {rank} does not lie in a WORLD_SIZE of {size}",
            hint="Start the processes with one launcher: pgseg train --nproc, torchrun or srun",
        )
    if size == 1:
        return World(local_rank=int(found.get("LOCAL_RANK", "0")))
    return World(
        rank=rank,
        size=size,
        local_rank=int(found.get("LOCAL_RANK", "0")),
        address=found.get("MASTER_ADDR", "127.0.0.1"),
        port=_number(found, "MASTER_PORT"),
    )


def _from_slurm(found: Mapping[str, str]) -> World:
    job = int(found.get("SLURM_JOB_ID", "0"))
    nodes = found.get("SLURM_STEP_NODELIST", found.get("SLURM_JOB_NODELIST", "127.0.0.1"))
    return World(
        rank=_number(found, "SLURM_PROCID"),
        size=_number(found, "SLURM_NTASKS"),
        local_rank=int(found.get("SLURM_LOCALID", "0")),
        address=found.get("MASTER_ADDR", first_node(nodes)),
        port=int(found.get("MASTER_PORT", _SLURM_FIRST_PORT + job % _SLURM_PORTS)),
    )


def first_node(nodes: str) -> str:
    """Return the first machine of a SLURM node list: `gpu[07-09,12],cpu1` begins with gpu07."""
    listed = re.match(r"([^,\[]+)(?:\[(\d+)[^\]]*\]([^,]*))?", nodes)
    if listed is None:
        raise BackendError(
            f"the SLURM node list '{nodes}' cannot be read",
            hint="Name the first machine: export MASTER_ADDR=...",
        )
    return "".join(part or "" for part in listed.groups())


def _number(found: Mapping[str, str], name: str) -> int:
    try:
        return int(found[name])
    except (KeyError, ValueError):
        raise BackendError(
            f"the environment variable {name} is {found.get(name, 'not set')!r}, but a number is "
            "needed to join the other processes",
            hint="Start them with one launcher (pgseg train --nproc 2), or unset RANK, WORLD_SIZE",
        ) from None
