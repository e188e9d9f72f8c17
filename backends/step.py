"""The pieces of an optimiser step, whoever exchanges the gradients and updates the weights.

An engine (`engine.py`, `deepspeed.py`, a third party's) puts them in order; what they compute is
the same in all, and so are the files of a checkpoint.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pgseg_backends.grad_cache import CachedTask
from pgseg_backends.noise import RankNoise
from pgseg_core.checkpoint import write_tensors
from pgseg_core.comm import Collectives
from pgseg_core.config import TrainConfig
from pgseg_core.errors import BackendError, CheckpointError
from pgseg_core.train.task import TaskOutput, TrainTask

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
MOMENTS = ("exp_avg", "exp_avg_sq", "step")
OPTIMIZER, SCALER = "optimizer.safetensors", "scaler.json"
_BUCKET = 8_000_000


def check_precision(config: TrainConfig, device: torch.device) -> None:
    """Refuse a precision that the device cannot do.

    Raises:
        BackendError: fp16 on MPS. (A CPU can, slowly.)
    """
    if config.precision == "fp16" and device.type == "mps":
        raise BackendError(
            "train.precision: fp16 is not for MPS devices",
            hint="--set train.precision=bf16",
        )


def make_cached(
    task: TrainTask, config: TrainConfig, *, stop_early: bool = True
) -> CachedTask | None:
    """Wrap the task for gradient-cached steps, if they are asked for."""
    if not config.grad_cache:
        return None
    return CachedTask(task, whole_norm=config.grad_cache_norm == "batch", stop_early=stop_early)


def is_measured(config: TrainConfig, step: int) -> bool:
    """Tell whether a step is written to the log, and worth measuring what costs extra."""
    return (step + 1) % config.log_every == 0


def noise_seed(config: TrainConfig, step: int) -> int:
    """Seed of a step's noise, the same on every rank."""
    return config.seed * 1_000_003 + step


@contextmanager
def precision_and_noise(
    config: TrainConfig, device: torch.device, comm: Collectives, part: int = 0, parts: int = 1
) -> Iterator[None]:
    """Compute in the configured precision, with the noise of this rank's (part of the) images."""
    dtype, world = PRECISIONS.get(config.precision), comm.world_size * parts
    with (
        torch.autocast(device.type, dtype=dtype, enabled=dtype is not None),
        # It looks at every call of torch, which takes a while where kernels are short.
        RankNoise(comm.rank * parts + part, world) if world > 1 else nullcontext(),
    ):
        yield


def divide_gradients(parameters: Sequence[nn.Parameter], scale: float) -> None:
    """Take the loss scale out of the gradients."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.div_(scale)


@torch.no_grad()
def average_gradients(parameters: Sequence[nn.Parameter], comm: Collectives) -> None:
    """Average gradients over ranks, a few at a time in one exchange."""
    if comm.world_size == 1:
        return
    bucket: list[Tensor] = []
    held = 0
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for number, gradient in enumerate(gradients):
        bucket.append(gradient)
        held += gradient.numel()
        if held >= _BUCKET or number == len(gradients) - 1:
            flat = comm.mean(torch.cat([part.flatten() for part in bucket]))
            for part, mean in zip(bucket, flat.split([p.numel() for p in bucket]), strict=True):
                part.copy_(mean.view_as(part))
            bucket, held = [], 0


def mean_banks(outputs: Sequence[TaskOutput]) -> dict[str, Tensor]:
    """Average the prototype estimates of a step over its micro-batches, by bank."""
    return {
        name: torch.stack([output.bank_means[name] for output in outputs]).mean(dim=0)
        for name in outputs[0].bank_means
    }


@torch.no_grad()
def bank_drift(task: TrainTask, outputs: Sequence[TaskOutput]) -> dict[str, Tensor]:
    """How far a step moves the prototypes of each bank, on average over them (they have length 1).

    Unequal to 0 at first, it should fall as the prototypes settle.
    """
    banks, share = task.model.banks(), 1 - task.npr.momentum
    return {
        f"drift_{name}": share * (mean - banks[name]).norm(dim=1).mean()
        for name, mean in mean_banks(outputs).items()
    }


def to_host(
    outputs: Sequence[TaskOutput],
    norm: Tensor,
    comm: Collectives,
    beside: Mapping[str, Tensor] | None = None,
) -> tuple[float, float, dict[str, float]]:
    """Average over micro-batches and ranks, and fetch loss, norm and terms in one transfer.

    What is not finite on one rank is not finite in the average: all ranks see it alike.
    """
    names = list(outputs[0].terms)
    table = torch.stack(
        [torch.stack([o.loss.detach(), *(o.terms[name] for name in names)]) for o in outputs]
    ).mean(dim=0)
    more = beside or {}
    row = torch.cat([table, torch.stack([norm, *more.values()]).to(table)])
    loss, *values = comm.mean(row).tolist()
    grad_norm = values.pop(len(names))
    return loss, grad_norm, dict(zip([*names, *more], values, strict=True))


def not_finite(step: int, loss: float, grad_norm: float, terms: dict[str, float]) -> str:
    """Describe a step that cannot be taken."""
    listed = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
    return f"step {step}: loss {loss:.4g}, gradient norm {grad_norm:.4g} ({listed})"


def write_optimizer(folder: Path, tensors: dict[str, Tensor], scaler: dict[str, float]) -> None:
    """Write AdamW's state by parameter (`NAME/exp_avg`, ...), the same for every backend."""
    write_tensors(folder / OPTIMIZER, tensors)
    (folder / SCALER).write_text(json.dumps(scaler), "utf-8")


def read_optimizer(folder: Path) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Read what `write_optimizer` wrote.

    Raises:
        CheckpointError: It is not there or damaged.
    """
    try:
        tensors = load_file(folder / OPTIMIZER)
        scaler: dict[str, float] = json.loads((folder / SCALER).read_text("utf-8"))
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: no optimiser state to resume from ({error})") from None
    return tensors, scaler
