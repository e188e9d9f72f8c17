"""Every pgseg command that the README shows is one that the program understands."""

import functools
import importlib
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from pgseg_cli.main import COMMANDS

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


@pytest.mark.parametrize("line", shown_commands())
def test_shown_command_parses(pgseg, monkeypatch, line):
    called, around = [], []

    def silent(callback: Callable, calls: list) -> Callable:
        @functools.wraps(callback)
        def note(**options):
            calls.append(options)

        return note

    for entry in COMMANDS.values():
        module, _, name = entry.place.partition(":")
        found = getattr(importlib.import_module(module), name)
        if isinstance(found, typer.Typer):
            for command in registered(found):
                monkeypatch.setattr(command, "callback", silent(command.callback, called))
            itself = found.registered_callback  # `pgseg eval` measures, and holds `compare`
            if itself is not None:
                monkeypatch.setattr(itself, "callback", silent(itself.callback, around))
        else:
            monkeypatch.setattr(entry.place.replace(":", "."), silent(found, called))
    arguments = shlex.split(line, comments=True)[1:]
    result = pgseg(arguments)
    assert result.code == 0, result.err
    assert len(called or around) == 1
