"""Commands that are imported when one of them is asked for, so that a list of them is instant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True)
class Entry:
    """A command before it is loaded."""

    place: str
    """`module:name` of the function, or of the `typer.Typer` of a group."""
    summary: str
    """First sentence of its help; a test holds them together."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of its context."""


class LazyGroup(TyperGroup):
    """A group that lists, completes and suggests names without loading what they stand for."""

    entries: ClassVar[Mapping[str, Entry]] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in self.entries.items():
            self.add_command(TyperCommand(name, help=entry.summary), name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that arguments begin with, and load it."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else load_command(name, self.entries[name]), rest


def load_command(name: str, entry: Entry) -> Any:
    """Import a command and make it ready to be run."""
    module, _, attribute = entry.place.partition(":")
    found = getattr(import_module(module), attribute)
    around = typer.Typer(add_completion=False, rich_markup_mode=None)
    around.callback()(_nothing)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name)
    else:
        around.command(name, context_settings=dict(entry.settings))(found)
    group = get_command(around)
    assert isinstance(group, TyperGroup)
    return group.commands[name]


def _nothing() -> None:
    """Make a group of what would otherwise be its only command."""
