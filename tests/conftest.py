"""What every test starts from: shapes are checked, and the terminal is wide.

Shapes and types in the core's signatures are checked while the tests run. rich reads a terminal's
width from the environment once, when it is imported: tables as wide as this never break a name.
"""

import os

from jaxtyping import install_import_hook

from tests import shape_checks

os.environ["COLUMNS"] = "400"
install_import_hook("pgseg_core", f"{shape_checks.__name__}.checked")
