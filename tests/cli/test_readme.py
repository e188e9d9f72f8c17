"""Every pgseg command that the README shows is one that the program understands."""

import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from pgseg_cli.main import app

README = Path(__file__).parents[2] / "README.md"


def shown_commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text("utf-8"), flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("pgseg ")]


def registered(group: typer.Typer) -> Iterator[typer.models.CommandInfo]:
    yield from group.registered_commands
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from registered(inner.typer_instance)


def test_the_readme_shows_commands():
    assert len(shown_commands()) > 10


def callbacks(group: typer.Typer) -> Iterator[typer.models.TyperInfo]:
    """What groups do themselves: `pgseg eval` measures, and holds `compare`."""
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        if inner.typer_instance.registered_callback is not None:
            yield inner.typer_instance.registered_callback


@pytest.mark.parametrize("line", shown_commands())
def test_shown_command_parses(pgseg, monkeypatch, line):
    called, around = [], []

    def silence(entry: typer.models.CommandInfo | typer.models.TyperInfo, calls: list) -> None:
        @functools.wraps(entry.callback)
        def note(**options):
            calls.append(options)

        monkeypatch.setattr(entry, "callback", note)

    for command in registered(app):
        silence(command, called)
    for callback in callbacks(app):
        silence(callback, around)
    arguments = shlex.split(line, comments=True)[1:]
    result = pgseg(arguments)
    assert result.code == 0, result.err
    assert len(called or around) == 1
