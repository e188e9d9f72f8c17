"""The `pgseg` program: registers the commands, and prints errors in one place.

Nothing here or in the command modules' top levels imports torch, open_clip, webdataset, scipy or
PIL: `--help` answers at once, and each command imports what it needs inside its function.
"""

import os
import sys

import typer

from pgseg_cli.commands import (
    backends,
    bench,
    convert,
    data,
    doctor,
    evaluate,
    explain,
    export,
    models,
    segment,
    serve,
    sweep,
    train,
    viz,
)
from pgseg_cli.console import print_error
from pgseg_core.errors import PgsegError

app = typer.Typer(
    name="pgseg",
    help="Learn to segment images into classes named in words, from image-text pairs alone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich's takes as long again to import as all the rest
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")
app.command("train")(train.train)
app.command("segment")(segment.segment)
app.command("serve")(serve.serve)
app.command("explain")(explain.explain)
app.add_typer(evaluate.app, name="eval")
app.command("sweep")(sweep.sweep)
app.add_typer(viz.app, name="viz")
app.command("models")(models.models)
app.command("convert")(convert.convert)
app.add_typer(export.app, name="export")
app.command("backends")(backends.backends)
app.command("doctor")(doctor.doctor)
app.command("bench", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(
    bench.bench
)


def run() -> None:
    """Run the program: exit code 0, 2 for what the user can put right, 130 for an interrupt."""
    sys.argv[1:] = without_local_rank(sys.argv[1:])
    try:
        app()
    except PgsegError as error:
        from backends.launch import report_error

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
