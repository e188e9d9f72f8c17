"""The framework-light core: model, prototype maths, training and inference.

`from pgseg_core import Segmenter` is all that segmenting a photo takes. The name is looked up when
it is asked for, so that importing a small room of the core does not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgseg_core.inference.segmenter import Segmenter

__all__ = ["Segmenter"]


def __getattr__(name: str) -> Any:
    if name == "Segmenter":
        return import_module("pgseg_core.inference.segmenter").Segmenter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
