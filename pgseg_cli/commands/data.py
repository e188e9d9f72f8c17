"""`pgseg data`: from files and web addresses to shards, and what is in them."""

import typer

from pgseg_cli.commands import (
    data_convert,
    data_merge,
    data_prepare,
    data_scenes,
    data_stats,
    data_verify,
)

app = typer.Typer(
    help="Prepare image-text pairs for training, and check and convert evaluation sets.",
    no_args_is_help=True,
)
app.command("prepare")(data_prepare.prepare)
app.command("scenes")(data_scenes.scenes)
app.command("merge")(data_merge.merge)
app.command("verify")(data_verify.verify)
app.command("convert")(data_convert.convert)
app.command("stats")(data_stats.stats)
