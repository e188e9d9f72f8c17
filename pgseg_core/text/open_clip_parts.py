"""Single modules of open_clip, without the package around them, whose import costs seconds."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def open_clip_part(name: str) -> ModuleType:
    """Return `open_clip.<name>`, if possible without running the package around it.

    Args:
        name: A module such as `tokenizer`.
    """
    full = f"open_clip.{name}"
    if full in sys.modules:
        return sys.modules[full]
    package = importlib.util.find_spec("open_clip")
    if package is not None and package.origin is not None:
        file = Path(package.origin).with_name(f"{name}.py")
        if file.is_file():
            try:
                return _run_module(file)
            except ImportError:
                pass  # A release in which this module needs its package: take the long way.
    return importlib.import_module(full)


def _run_module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"pgseg_open_clip_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
