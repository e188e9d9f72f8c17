"""Run the comparisons: `python -m tests.benchmarks --help`."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.cases import CASES, SECTIONS
from tests.benchmarks.table import HEAD, Measured, machine, rows, table
from tests.benchmarks.turns import take_turns

PARTS = {
    "reading": ("--count", "192", "--repeats", "3"),
    "scale": ("--rounds", "2"),
}
"""Programs of this folder that print figures of their own as JSON, with their arguments."""
USUAL = (*SECTIONS, "reading")


def main() -> None:
    """Measure, print rows as they come, and write the table."""
    known = ", ".join([*SECTIONS, *PARTS])
    parser = argparse.ArgumentParser("pgseg bench", description=__doc__)
    parser.add_argument("--only", help=f"sections between commas: {known}; usual: all but scale")
    parser.add_argument("--turns", type=int, help="turns of each program (default: by case)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=5.0, help="begin no case after these")
    parser.add_argument("--out", type=Path, help="write the markdown table here")
    parser.add_argument("--cuda", action="store_true", help="measure a CUDA device instead")
    options = parser.parse_args()
    if options.cuda:
        _cuda(parser, options.out)
        return
    wanted = options.only.split(",") if options.only else USUAL
    if unknown := set(wanted) - {*SECTIONS, *PARTS}:
        parser.error(f"no section called {', '.join(sorted(unknown))}: {known}")
    say = sys.stdout.write
    begun, done = time.monotonic(), []
    parts = "\n".join(_figures(name) for name in PARTS if name in wanted)
    say("\n".join([machine(options.threads), "", *([parts] if parts else []), *HEAD, ""]))
    for case in [case for case in CASES if case.section in wanted]:
        if time.monotonic() - begun > options.minutes * 60:
            say(f"left out, time is up: {case.what}\n")
            continue
        times = take_turns(
            [case.ours, *case.peers], turns=options.turns or case.turns, threads=options.threads
        )
        done.append(Measured(case, times))
        say("\n".join([*rows(done[-1]), ""]))
        sys.stdout.flush()
    if options.out:
        command = " ".join(["pgseg bench", *sys.argv[1:]])
        lines = table(done, threads=options.threads, command=command)
        options.out.write_text(f"{lines}\n{parts}" if parts else lines, "utf-8")


def _figures(name: str) -> str:
    """Run a part in a process of its own, and return its figures as a markdown table."""
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", "--json", *PARTS[name]]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rows = [f"| {what} | {figure} |" for what, figure in json.loads(done.stdout).items()]
    return "\n".join([f"| {name} | |", "|---|---|", *rows, ""])


def _cuda(parser: argparse.ArgumentParser, out: Path | None) -> None:
    import torch

    if not torch.cuda.is_available():
        parser.error("--cuda: no CUDA device on this machine")
    from tests.benchmarks.cuda import speeds

    lines = "\n".join([*speeds(), ""])
    sys.stdout.write(lines)
    if out:
        out.write_text(lines, "utf-8")


if __name__ == "__main__":
    main()
