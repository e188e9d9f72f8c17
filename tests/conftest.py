"""Every shape and type in the core's signatures is checked while the tests run."""

from jaxtyping import install_import_hook

from tests import shape_checks

install_import_hook("pgseg_core", f"{shape_checks.__name__}.checked")
