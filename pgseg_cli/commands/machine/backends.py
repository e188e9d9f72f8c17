"""`pgseg backends`: what can run a training."""

from pgseg_cli.console import print_json, print_table
from pgseg_cli.options import Json


def backends(json: Json = False) -> None:
    """List the training backends that are installed."""
    from pgseg_backends.registry import installed_backends

    found = installed_backends()
    if json:
        print_json({name: point.value for name, point in found.items()})
        return
    rows = [(name, point.value.partition(":")[0]) for name, point in found.items()]
    print_table("Training backends", ("name", "module"), rows, text=2)
