"""Several machines, from DeepSpeed's hostfile: one `pgseg train` on each, over ssh.

The machines see the same working folder and the same Python, as a cluster's shared disk gives them.
Where a launcher is at hand (srun, torchrun, deepspeed), it does the same and is joined instead.
"""

import os
import re
import shlex
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgseg_backends.launch import Node, free_port, run_together
from pgseg_core.errors import BackendError, ConfigError

NODE = "PGSEG_NODE"
"""Tells a machine its place: first rank, ranks here, ranks in all, address and port of rank 0."""

_LINE = re.compile(r"(?P<name>[\w.\-]+)(\s+slots\s*=\s*(?P<slots>\d+))?")
_PASSED_ON = ("PYTHONPATH", "PATH", "LD_LIBRARY_PATH", "HF_HOME", "OMP_NUM_THREADS")
_FIRST_PORT, _PORTS = 20_000, 20_000


@dataclass(frozen=True)
class Host:
    """A line of a hostfile.

    Attributes:
        name: As ssh knows it.
        slots: Processes there, one per device.
    """

    name: str
    slots: int


def read_hostfile(path: Path) -> list[Host]:
    """Read lines `NAME slots=N`; `#` starts a comment, and slots are 1 where none are given.

    Raises:
        ConfigError: The file is missing or empty, a line cannot be read, or a machine comes twice.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise ConfigError(
            f"--hostfile {path}: {error.strerror}", hint="One line a machine: NAME slots=8"
        ) from None
    hosts: list[Host] = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        found = _LINE.fullmatch(text)
        if found is None or found["slots"] == "0":
            raise ConfigError(
                f"{path}, line {number}: {text!r} is no machine", hint="Write: NAME slots=8"
            )
        if any(found["name"] == host.name for host in hosts):
            raise ConfigError(
                f"{path}, line {number}: {found['name']} comes twice", hint="Add up its slots."
            )
        hosts.append(Host(found["name"], int(found["slots"] or 1)))
    if not hosts:
        raise ConfigError(f"{path} names no machine", hint="One line a machine: NAME slots=8")
    return hosts


def start_hosts(hosts: Sequence[Host], arguments: Sequence[str]) -> int:
    """Run a Python command line on every machine, and wait for all.

    Returns:
        0, or 130 if they were interrupted.

    Raises:
        BackendError: One of them failed; the others have been ended.
    """
    address, port = _meeting_place(hosts)
    world_size = sum(host.slots for host in hosts)
    commands, first = [], 0
    for host in hosts:
        place = f"{first},{host.slots},{world_size},{address},{port}"
        commands.append(_command(host, arguments, place))
        first += host.slots
    codes = run_together(commands)
    failed = [(host, code) for host, code in zip(hosts, codes, strict=True) if code]
    if failed and all(code == 130 for _, code in failed):
        return 130
    if failed:
        host, code = failed[0]
        raise BackendError(
            f"{host.name} ended with exit code {code}; its own message is above",
            hint=f"Try it alone: ssh {host.name} {sys.executable} -m pgseg_cli.main doctor",
        )
    return 0


def own_node(environ: Mapping[str, str] | None = None) -> tuple[Node, int] | None:
    """Return this machine's place and its number of ranks, if `start_hosts` started us."""
    text = (os.environ if environ is None else environ).get(NODE)
    if not text:
        return None
    first, slots, world_size, address, port = text.split(",")
    return Node(int(first), int(world_size), address, port), int(slots)


def _command(
    host: Host, arguments: Sequence[str], place: str
) -> tuple[list[str], Mapping[str, str]]:
    line = [sys.executable, *arguments]
    if _is_here(host.name):
        return line, {**os.environ, NODE: place}
    passed = [
        f"{name}={value}"
        for name, value in os.environ.items()
        if name in _PASSED_ON or name.startswith(("NCCL_", "GLOO_", "PGSEG_"))
    ]
    there = f"cd {shlex.quote(str(Path.cwd()))} && " + shlex.join(
        ["env", *passed, f"{NODE}={place}", *line]
    )
    return ["ssh", "-tt", "-o", "BatchMode=yes", host.name, there], os.environ


def _meeting_place(hosts: Sequence[Host]) -> tuple[str, str]:
    first = hosts[0].name
    if all(_is_here(host.name) for host in hosts):
        return "127.0.0.1", free_port()
    if first in ("localhost", "127.0.0.1"):
        raise ConfigError(
            f"the hostfile begins with {first}, which other machines cannot reach",
            hint=f"Name this machine as they know it, such as {socket.gethostname()}",
        )
    return first, str(_FIRST_PORT + os.getpid() % _PORTS)


def _is_here(name: str) -> bool:
    return name in ("localhost", "127.0.0.1", socket.gethostname(), socket.getfqdn())
