"""Results as a markdown table that says on what they were measured."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.benchmarks.cases import Case
from tests.benchmarks.turns import Times, ratio

HEAD = (
    "| what | program | median, s | peer / ours (least to most) | goal | peak, GB |",
    "|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Measured:
    """A case and its times by program."""

    case: Case
    times: dict[str, Times]


def machine(threads: int) -> str:
    """One line: processor, threads, system and the versions that matter."""
    names = ("torch", "transformers", "onnxruntime", "scipy", "numpy")
    versions = ", ".join(f"{name} {_version(name)}" for name in names)
    return (
        f"{_processor()}, {threads} threads, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {versions}"
    )


def rows(measured: Measured) -> list[str]:
    """Ours, then a line for each peer."""
    case, own = measured.case, measured.times[measured.case.ours.name]
    lines = [_row((case.what, case.ours.name), own, "", "", case.memory)]
    for peer in case.peers:
        times = measured.times[peer.name]
        found = str(ratio(times, own))
        if case.memory:
            found += f"; peak {times.peak / own.peak:.2f}"
        lines.append(
            _row(("", peer.name), times, found, case.goals.get(peer.name, ""), case.memory)
        )
    return lines


def table(all_measured: Sequence[Measured], *, threads: int, command: str) -> str:
    """The whole as markdown."""
    lines = [row for measured in all_measured for row in rows(measured)]
    return "\n".join([f"{machine(threads)}. `{command}`", "", *HEAD, *lines, ""])


def _row(names: tuple[str, str], times: Times, found: str, goal: str, memory: bool) -> str:
    peak = f"{times.peak / 1e9:.2f}" if memory else ""
    return f"| {' | '.join(names)} | {times.median:.3f} | {found} | {goal} | {peak} |"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {key.strip(): value.strip() for key, value in facts.items()}
    flags = named.get("flags", "").split()
    widest = next((f for f in ("avx512_bf16", "avx512f", "avx2") if f in flags), "")
    return f"{named.get('model name', platform.processor())} ({widest})"
