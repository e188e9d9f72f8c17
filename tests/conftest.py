"""What every test starts from: shapes are checked, and the terminal is wide.

Shapes and types in the core's signatures are checked while the tests run. rich reads a terminal's
width from the environment once, when it is imported: tables as wide as this never break a name.
"""

import os

import pytest
from jaxtyping import install_import_hook

from tests import shape_checks

os.environ["COLUMNS"] = "400"
install_import_hook("pgseg_core", f"{shape_checks.__name__}.checked")


@pytest.fixture(autouse=True)
def no_bundled_weights(request, monkeypatch, tmp_path_factory) -> None:
    """Leave out the weights that ship with pgseg, but where a test is marked as being about them.

    What a call does without weights, or with a run of its own, must not hang on their training.
    """
    if request.node.get_closest_marker("bundled") is None:
        from pgseg_core.weights import catalogue

        empty = tmp_path_factory.getbasetemp() / "no-weights"
        empty.mkdir(exist_ok=True)
        monkeypatch.setattr(catalogue, "bundled_folder", lambda: empty)
