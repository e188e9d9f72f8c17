"""`pgseg bench`: the benchmarks of the source tree."""

import subprocess
import sys
from pathlib import Path

import typer

from pgseg_core.errors import PgsegError


def bench(context: typer.Context) -> None:
    """Measure speed and memory beside the peers; needs a clone and its extra `bench`.

    Options go to the benchmarks, such as `--only training,npr --out table.md`, and `--cuda` on a
    machine with a CUDA device; `-- --help` lists them.
    """
    root = Path(__file__).resolve().parents[3]
    if not (root / "tests" / "benchmarks" / "__main__.py").is_file():
        raise PgsegError(
            "the benchmarks are not part of the installed package",
            hint="In a clone of the repository: pip install -e '.[bench]' && pgseg bench",
        )
    command = [sys.executable, "-m", "tests.benchmarks", *context.args]
    raise typer.Exit(subprocess.run(command, cwd=root, check=False).returncode)
