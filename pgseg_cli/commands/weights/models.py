"""`pgseg models`: the weights that can be named, and what is known of them."""

from dataclasses import asdict

from pgseg_cli.console import next_step, print_json, print_table, say
from pgseg_cli.options import Json


def models(*, json: Json = False) -> None:
    """List the weights that ship with pgseg, those kept in its cache, and the runs here."""
    from pgseg_core.weights import cache_folder, list_weights

    cards = list_weights()
    if json:
        print_json([{**asdict(card), "path": str(card.path)} for card in cards])
    if not cards:
        say(f"no weights: none ship with this pgseg, none in {cache_folder()}, no runs here")
        next_step("pgseg train")
        return
    rows = [
        (
            str(card.path) if card.kind == "run" else card.name,
            f"{card.kind}, default" if card.default else card.kind,
            card.licence,
            f"{card.size / 1e6:.1f} MB",
        )
        for card in cards
    ]
    print_table("weights", ("name", "where", "licence", "size"), rows, text=3)
    for (name, *_), card in zip(rows, cards, strict=True):
        scores = ", ".join(f"{measure} {score:g}" for measure, score in card.scores.items())
        known = {"is": card.about, "trained on": card.training_data, "scores": scores}
        say(name)
        for what, text in known.items():
            if text:
                say(f"  {what}: {text}")
    next_step(f'pgseg segment photo.jpg -c "sky,road" --weights {rows[0][0]}')
