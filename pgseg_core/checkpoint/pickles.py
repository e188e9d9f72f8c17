"""Opening foreign .pth files without running anything they carry.

`torch.load` refuses released checkpoints as they are, because beside their tensors they hold an
OmegaConf object. Here the unpickler itself is closed: tensors and plain containers are built,
configuration classes become inert records, and any other name ends the reading.
"""

import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from pgseg_core.errors import CheckpointError

_PLAIN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("builtins", "dict"): dict,
    ("builtins", "list"): list,
    ("builtins", "int"): int,
    ("builtins", "set"): set,
}
_RECORD_ROOTS = ("omegaconf", "yacs", "mmcv", "argparse", "typing", "antlr4")


class Record:
    """Stands in for a configuration object: keeps its state, runs nothing."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.arguments = (arguments, keywords)
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def plain(self) -> Any:
        """Return the values it holds as plain dictionaries, lists and scalars."""
        return _plain(self)


_AGAIN = "Download or copy it again, and compare its size with its author's."


def read_pickle(path: Path) -> dict[str, Any]:
    """Read a .pth file's top-level dictionary.

    Args:
        path: A file written by `torch.save`, of any age.

    Raises:
        CheckpointError: It is not such a file, or names something that is neither a tensor, a
            plain container nor a known configuration class.
    """
    try:
        content = torch.load(
            path, map_location="cpu", weights_only=False, pickle_module=_ClosedPickle
        )
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", hint=error.hint) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not a readable .pth file ({reason})", hint=_AGAIN) from None
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path}: holds a {type(content).__name__}, not a dictionary", hint=_AGAIN
        )
    return {
        key: value.plain() if isinstance(value, Record) else value for key, value in content.items()
    }


class _ClosedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = _PLAIN.get((module.replace("__builtin__", "builtins"), name))
        if known is not None:
            return known
        if name == "long" and module in ("builtins", "__builtin__"):
            return int
        if module.split(".", maxsplit=1)[0] in _RECORD_ROOTS:
            return type(name, (Record,), {})
        raise CheckpointError(
            f"refused to open: the file asks for {module}.{name}, which is not weights",
            hint="Do not trust this file. Ask its author for safetensors",
        )


def _load(file: Any, **keywords: Any) -> Any:
    return _ClosedUnpickler(file, **keywords).load()


_ClosedPickle = SimpleNamespace(
    Unpickler=_ClosedUnpickler,
    load=_load,
    UnpicklingError=pickle.UnpicklingError,
    __name__="pickle",
)


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        state = value.state if isinstance(value.state, dict) else {}
        if "_content" in state:
            return _plain(state["_content"])
        return _plain(state.get("_val", state))
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
