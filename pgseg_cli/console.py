"""The terminal: messages and progress on standard error, data on standard output."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pgseg_core.errors import PgsegError

Bar = Callable[[int, int, str], None]
"""Called with (done, total or 0 while it is not known, a few words beside the bar)."""

_BAR_ROOM = 60  # columns that the bar and its numbers take

messages = Console(stderr=True, highlight=False, soft_wrap=True)


def print_error(error: PgsegError) -> None:
    """Print what is wrong, and below it what to type next."""
    messages.print(f"[bold red]error:[/] {escape(error.message)}")
    if error.hint:
        messages.print(f"[dim]{escape(error.hint)}[/]")


def say(text: str) -> None:
    """Print a message; its square brackets are taken literally."""
    messages.print(escape(text))


def next_step(*commands: str) -> None:
    """Print what to type next."""
    messages.print("[dim]next:[/]")
    for command in commands:
        messages.print(f"  {escape(command)}")


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, text: int = 1
) -> None:
    """Print a table: the first `text` columns to the left, the others, numbers, to the right."""
    table = Table(title=escape(title), title_justify="left", header_style="bold")
    for position, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if position >= text else "left"
        table.add_column(escape(column), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    messages.print(table)


def share_text(share: float) -> str:
    """Write a share from 0 to 1: one digit, and never 0 for what is there."""
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def print_json(values: Any) -> None:
    """Print data on standard output; bytes of file names that are no text become escapes."""
    text = json.dumps(values, indent=2, ensure_ascii=False)
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


@contextmanager
def progress_bar(what: str) -> Iterator[Bar]:
    """Show a bar; yields the function that moves it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[beside]}"),
    )
    with Progress(*columns, console=messages) as bar:
        task = bar.add_task(what, total=None, visible=False, beside="")

        def update(done: int, total: int, beside: str = "") -> None:
            room = max(messages.width - _BAR_ROOM, 20)
            if len(beside) > room:
                beside = f"{beside[: room - 1]}…"
            bar.update(
                task, completed=done, total=total or None, visible=True, beside=escape(beside)
            )

        yield update
