"""`pgseg data`: from files and web addresses to shards, and what is in them."""

import typer

from pgseg_cli.commands.data import convert, merge, prepare, scenes, stats, verify

app = typer.Typer(
    help="Prepare image-text pairs for training, and check and convert evaluation sets.",
    no_args_is_help=True,
)
app.command("prepare")(prepare.prepare)
app.command("scenes")(scenes.scenes)
app.command("merge")(merge.merge)
app.command("verify")(verify.verify)
app.command("convert")(convert.convert)
app.command("stats")(stats.stats)
