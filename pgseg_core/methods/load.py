"""From a folder of weights to the method that reads them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union

from pgseg_core.errors import ConfigError, did_you_mean
from pgseg_core.methods.exported_files import find_exported, is_exported
from pgseg_core.methods.method import Method

if TYPE_CHECKING:
    import torch

RUNTIMES = ("auto", "torch", "onnx")
"""What may compute a method's networks."""


@dataclass(frozen=True)
class LoadedMethod:
    """A method, and where its weights lie."""

    method: Method
    path: Path


def load_method(
    weights: Path, *, device: Union[str, "torch.device"] = "auto", runtime: str = "auto"
) -> LoadedMethod:
    """Load weights into the runtime that is asked for.

    Args:
        weights: A checkpoint, run or exported model's folder.
        device: `auto`, `cpu`, `cuda` or `mps`; or a device of torch.
        runtime: One of `RUNTIMES`; `auto` is onnx for exported models and torch for all others.

    Raises:
        ConfigError: There is no such runtime, or it does not read such weights.
        CheckpointError: The weights are missing or damaged, or not exported yet.
        BackendError: The runtime or the device is not on this machine.
    """
    if runtime not in RUNTIMES:
        raise ConfigError(f"no runtime called '{runtime}'", hint=did_you_mean(runtime, RUNTIMES))
    exported = is_exported(weights)
    if runtime == "onnx" or (runtime == "auto" and exported):
        from pgseg_core.methods.exported import ExportedMethod  # noqa: PLC0415 - without torch

        return LoadedMethod(ExportedMethod.load(weights, str(device)), find_exported(weights))
    if exported:
        raise ConfigError(
            f"{weights}: exported to ONNX, which the runtime torch does not read",
            hint="Use --runtime onnx, or the weights that it was made of.",
        )
    from pgseg_core.checkpoint import load_checkpoint  # noqa: PLC0415 - with torch
    from pgseg_core.device import find_device  # noqa: PLC0415
    from pgseg_core.methods.groups import GroupsMethod  # noqa: PLC0415

    checkpoint = load_checkpoint(weights)
    where = find_device(device) if isinstance(device, str) else device
    method = GroupsMethod(checkpoint.build(), checkpoint.config.inference, where)
    return LoadedMethod(method, checkpoint.path)
