"""The `pgseg` program: names the commands, and prints errors in one place.

Nothing here imports a command before it is asked for, and no command's top level imports torch,
open_clip, webdataset, scipy or PIL: `--help` answers at once.
"""

import os
import sys

import typer

from pgseg_cli.lazy import Entry, LazyGroup
from pgseg_core.errors import PgsegError


def _entry(place: str, summary: str, **settings: bool) -> Entry:
    return Entry(f"pgseg_cli.commands.{place}", summary, settings)


COMMANDS = {
    "data": _entry(
        "data.command:app",
        "Prepare image-text pairs for training, and check and convert evaluation sets.",
    ),
    "train": _entry("train.command:train", "Learn to segment from image-text pairs."),
    "segment": _entry(
        "segment.command:segment", "Label every pixel of a photo with one of the classes you name."
    ),
    "explain": _entry(
        "segment.explain:explain",
        "Say for each class why it was found in a photo or not, and what to change.",
    ),
    "serve": _entry(
        "serve.command:serve",
        "Serve a page where you drop a photo and type classes, and a JSON API beside it.",
    ),
    "eval": _entry("evaluate.command:app", "Measure weights, and compare two measurements."),
    "sweep": _entry(
        "sweep.command:sweep",
        "Train and measure every row of a table; the same command goes on after an interrupt.",
    ),
    "viz": _entry(
        "viz.command:app",
        "Figures of what a model does, as wide and as legible as a paper prints them.",
    ),
    "models": _entry(
        "weights.models:models",
        "List the weights that ship with pgseg, those kept in its cache, and the runs here.",
    ),
    "convert": _entry(
        "weights.convert:convert",
        "Bring weights of others into pgseg's format, without running code they may carry.",
    ),
    "export": _entry(
        "weights.export:app", "Write a trained model in a form that other programs run."
    ),
    "backends": _entry(
        "machine.backends:backends", "List the training backends that are installed."
    ),
    "doctor": _entry("machine.doctor:doctor", "Say what this machine can do, and what to install."),
    "bench": _entry(
        "machine.bench:bench",
        "Measure speed and memory beside the peers; needs a clone and its extra `bench`.",
        allow_extra_args=True,
        ignore_unknown_options=True,
    ),
}
"""In the order of the work: data, training, use, numbers, figures, weights, this machine."""


class Commands(LazyGroup):
    """All of them."""

    entries = COMMANDS


app = typer.Typer(
    name="pgseg",
    cls=Commands,
    help="Learn to segment images into classes named in words, from image-text pairs alone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich's takes as long again to import as all the rest
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _start() -> None:
    """Do nothing before a command."""


def run() -> None:
    """Run the program: exit code 0, 2 for what the user can put right, 130 for an interrupt."""
    sys.argv[1:] = without_local_rank(sys.argv[1:])
    try:
        app()
    except PgsegError as error:
        from pgseg_backends.launch import report_error
        from pgseg_cli.console import print_error

        if not report_error(error):
            print_error(error)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our standard output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def without_local_rank(arguments: list[str]) -> list[str]:
    """Drop what launchers put before the command: `--local_rank=1`; LOCAL_RANK says it too."""
    first = arguments[0] if arguments else ""
    return arguments[1:] if first.startswith(("--local_rank=", "--local-rank=")) else arguments


if __name__ == "__main__":
    run()
