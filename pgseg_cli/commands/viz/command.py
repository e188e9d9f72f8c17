"""`pgseg viz`: figures of what a model does, ready for a paper."""

import typer

from pgseg_cli.commands.viz import (
    attention,
    compare,
    embedding,
    groups,
    prototypes,
    richness,
    training,
)

app = typer.Typer(
    help="Figures of what a model does, as wide and as legible as a paper prints them.",
    no_args_is_help=True,
)
app.command("prototypes")(prototypes.prototypes)
app.command("groups")(groups.groups)
app.command("embedding")(embedding.embedding)
app.command("richness")(richness.richness)
app.command("compare")(compare.compare)
app.command("training")(training.training)
app.command("attention")(attention.attention)
