"""`pgseg doctor`: what this machine can do, and what to install."""

from pathlib import Path

from pgseg_cli.console import print_json, print_table
from pgseg_cli.options import Json


def doctor(json: Json = False) -> None:
    """Say what this machine can do, and what to install."""
    from dataclasses import asdict

    from pgseg_backends.doctor import examine

    findings = examine(Path())
    if json:
        print_json([asdict(finding) for finding in findings])
        return
    rows = [(found.name, found.value, found.advice) for found in findings]
    print_table("This machine", ("", "found", "what to do"), rows, text=3)
