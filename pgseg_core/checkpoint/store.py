"""Our own format: a folder with `model.safetensors`, `config.json` and, of a run, `state.json`.

Folders are written whole or not at all. A run folder holds many of them under `checkpoints/`; the
newest that opens is the one meant when a run folder is named.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pgseg_core.atomic import whole_folder
from pgseg_core.checkpoint.compact import expand
from pgseg_core.comm import Collectives
from pgseg_core.config import Config, config_values, parse_config
from pgseg_core.errors import CheckpointError, ConfigError
from pgseg_core.networks.grouping import PGSeg, build_model
from pgseg_core.version import VERSION
from pgseg_core.weights import WEIGHTS, list_checkpoints

FORMAT = 1
CONFIG, STATE = "config.json", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """Weights and what is known about them, before a model is built."""

    path: Path
    config: Config
    state: dict[str, Any]
    """Where the weights stand: `step`, `origin`, scores; plain JSON values."""
    weights: dict[str, Tensor]

    def build(self, *, comm: Collectives | None = None) -> PGSeg:
        """Make the model with these weights, in evaluation mode.

        Raises:
            CheckpointError: A tensor is missing, unexpected or of another shape.
        """
        model = build_model(self.config.model, comm=comm, seed=None)
        load_weights(model, self.weights, origin=str(self.path))
        return model.eval()


def save_checkpoint(
    path: Path, config: Config, weights: dict[str, Tensor], state: dict[str, Any]
) -> None:
    """Write a checkpoint folder, whole or not at all, replacing what was there.

    Args:
        path: The folder.
        config: The run's configuration.
        weights: The model's state, as `state_dict` names it.
        state: Plain values worth keeping beside it.
    """
    with whole_folder(path) as folder:
        write_checkpoint(folder, config, weights, state)


def write_checkpoint(
    folder: Path, config: Config, weights: dict[str, Tensor], state: dict[str, Any]
) -> None:
    """Write a checkpoint's three files into an existing folder (see `save_checkpoint`)."""
    write_tensors(folder / WEIGHTS, weights)
    head = {"format": FORMAT, "pgseg": VERSION}
    _write_json(folder / CONFIG, {**head, **config_values(config)})
    _write_json(folder / STATE, state)


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, readable by whom the umask lets read any other new file.

    The library itself keeps its files to their owner, and weights are there to be shared.
    """
    path.touch()
    mode = path.stat().st_mode
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        path,
        metadata={"format": "pt"},
    )
    path.chmod(mode)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint folder, or the newest good one of a run folder.

    Raises:
        CheckpointError: Nothing is there, or it is damaged or of a newer format.
    """
    if not path.exists():
        raise CheckpointError(
            f"{path}: no such weights",
            hint="Give a run folder (runs/...), a checkpoint folder, or train one: pgseg train",
        )
    if not (path / WEIGHTS).is_file():
        return _newest(path)
    try:
        values = json.loads((path / CONFIG).read_text("utf-8"))
        state = json.loads((path / STATE).read_text("utf-8")) if (path / STATE).exists() else {}
        weights = expand(load_file(path / WEIGHTS))
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{path}: damaged checkpoint ({error})") from None
    found = values.pop("format", None)
    values.pop("pgseg", None)
    if found != FORMAT:
        raise CheckpointError(
            f"{path}: checkpoint format {found}, but this pgseg reads format {FORMAT}",
            hint="Update pgseg, or convert the weights with the version that wrote them",
        )
    try:
        config = parse_config(values, origin=f"{path / CONFIG}")
    except ConfigError as error:
        raise CheckpointError(error.message, hint=error.hint) from None
    return Checkpoint(path=path, config=config, state=state, weights=weights)


def load_weights(model: PGSeg, weights: dict[str, Tensor], *, origin: str) -> None:
    """Copy weights into a model; every name and shape must fit.

    Raises:
        CheckpointError: The first tensor that does not fit, by name.
    """
    own = model.state_dict()
    missing = sorted(set(own) - set(weights))
    unexpected = sorted(set(weights) - set(own))
    if missing or unexpected:
        what, names = ("lacks", missing) if missing else ("has unexpected", unexpected)
        raise CheckpointError(
            f"{origin}: {what} {names[0]}" + (f" and {len(names) - 1} more" if names[1:] else ""),
            hint="The weights belong to another configuration",
        )
    for name, tensor in weights.items():
        if own[name].shape != tensor.shape:
            raise CheckpointError(
                f"{origin}: {name} has shape {tuple(tensor.shape)}, "
                f"the model expects {tuple(own[name].shape)}",
                hint="The weights belong to another configuration",
            )
    with torch.no_grad():
        for name, tensor in weights.items():
            own[name].copy_(tensor)


def _newest(run: Path) -> Checkpoint:
    candidates = list_checkpoints(run)
    if not candidates:
        raise CheckpointError(
            f"{run}: holds no {WEIGHTS} and no checkpoints",
            hint="Give a run folder (runs/...) or a checkpoint folder; "
            "released .pth files and transformers folders are read by pgseg convert",
        )
    for path in reversed(candidates):
        try:
            return load_checkpoint(path)
        except CheckpointError as error:
            problem = error
    raise problem


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", "utf-8")
