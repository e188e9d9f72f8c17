"""The steps of the torch backends: forward, backward, clip, update, on one rank or on many."""

import json
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from backends.noise import RankNoise
from pgseg_core.comm import Collectives
from pgseg_core.config import TrainConfig
from pgseg_core.data.batch import Batch
from pgseg_core.errors import BackendError, CheckpointError, TrainingError
from pgseg_core.train.optim import make_optimizer, set_learning_rate
from pgseg_core.train.protocols import StepReport
from pgseg_core.train.schedule import Schedule
from pgseg_core.train.task import TaskOutput, TrainTask

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
MOMENTS = ("exp_avg", "exp_avg_sq", "step")
OPTIMIZER, SCALER = "optimizer.safetensors", "scaler.json"


def check_precision(config: TrainConfig, device: torch.device) -> None:
    """Refuse a precision that the device cannot do.

    Raises:
        BackendError: fp16 without CUDA.
    """
    if config.precision == "fp16" and device.type != "cuda":
        raise BackendError(
            f"train.precision: fp16 needs a CUDA device, this run uses {device.type}",
            hint="--set train.precision=bf16",
        )


class TorchEngine:
    """Steps of AdamW over a task that has the same weights on every rank.

    Args:
        task: The task, on its device, in training mode.
        config: Optimisation settings.
        schedule: Learning rates.
        device: Where the batches go.
        forward: What is called in place of the task, such as a `DistributedDataParallel` around it.
        unsynchronised: Opened around all micro-batches but the last: gradients are exchanged once.
    """

    def __init__(
        self,
        task: TrainTask,
        config: TrainConfig,
        schedule: Schedule,
        device: torch.device,
        *,
        forward: Callable[[Batch], TaskOutput] | None = None,
        unsynchronised: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.task = task
        self.config = config
        self.schedule = schedule
        self.device = device
        self.comm: Collectives = task.comm
        self.optimizer = make_optimizer(task.model, config)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self._forward = forward or task
        self._unsynchronised = unsynchronised

    def step(self, micro_batches: Sequence[Batch], step: int) -> StepReport:
        """Run one optimiser step; see `pgseg_core.train.protocols.Engine`."""
        torch.manual_seed(self.config.seed * 1_000_003 + step)
        lr = self.schedule.learning_rate(step)
        set_learning_rate(self.optimizer, lr)
        self.optimizer.zero_grad(set_to_none=True)
        parts, last = len(micro_batches), micro_batches[-1]
        outputs = []
        for batch in micro_batches[:-1]:
            with self._unsynchronised():
                outputs.append(self._forward_backward(batch, parts))
        outputs.append(self._forward_backward(last, parts))
        self.scaler.unscale_(self.optimizer)
        limit = self.config.clip or float("inf")
        parameters = list(self.task.model.parameters())
        norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
        loss, grad_norm, terms = to_host(outputs, norm, self.comm)
        overflow = self.scaler.is_enabled() and not math.isfinite(grad_norm)
        if not math.isfinite(loss) or (not math.isfinite(grad_norm) and not overflow):
            raise TrainingError(not_finite(step, loss, grad_norm, terms))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if not overflow:
            self.task.model.move_banks(mean_banks(outputs))
        return StepReport(loss, terms, grad_norm, lr, skipped=overflow)

    def save(self, folder: Path) -> None:
        """Write the optimiser's moments, and the loss scale of fp16, from rank 0."""
        if self.comm.rank != 0:
            return
        tensors = {
            f"{name}/{moment}": self.optimizer.state[parameter][moment]
            for name, parameter in self.task.model.named_parameters()
            if parameter in self.optimizer.state
            for moment in MOMENTS
        }
        write_optimizer(folder, tensors, self.scaler.state_dict())

    def load(self, folder: Path) -> None:
        """Read back what `save` wrote, on every rank.

        Raises:
            CheckpointError: The folder holds no optimiser state for this model.
        """
        tensors, scaler = read_optimizer(folder)
        for name, parameter in self.task.model.named_parameters():
            if f"{name}/step" in tensors:
                self.optimizer.state[parameter] = {
                    moment: tensors[f"{name}/{moment}"].to(
                        "cpu" if moment == "step" and not self._fused() else parameter.device
                    )
                    for moment in MOMENTS
                }
        if self.scaler.is_enabled() and scaler:
            self.scaler.load_state_dict(scaler)

    def weights(self) -> dict[str, Tensor] | None:
        """Return the model's state on rank 0."""
        return self.task.model.state_dict() if self.comm.rank == 0 else None

    def _fused(self) -> bool:
        return bool(self.optimizer.param_groups[0]["fused"])

    def _forward_backward(self, batch: Batch, parts: int) -> TaskOutput:
        output = forward(self._forward, batch.to(self.device), self.config, self.comm)
        torch.autograd.backward(self.scaler.scale(output.loss / parts))
        return output


def forward(
    task: Callable[[Batch], TaskOutput], batch: Batch, config: TrainConfig, comm: Collectives
) -> TaskOutput:
    """Run a task in the configured precision, with this rank's part of the step's noise."""
    dtype = PRECISIONS.get(config.precision)
    with (
        torch.autocast(batch.images.device.type, dtype=dtype, enabled=dtype is not None),
        RankNoise(comm.rank, comm.world_size),
    ):
        return task(batch)


def mean_banks(outputs: Sequence[TaskOutput]) -> dict[str, Tensor]:
    """Average the prototype estimates of a step over its micro-batches, by bank."""
    return {
        name: torch.stack([output.bank_means[name] for output in outputs]).mean(dim=0)
        for name in outputs[0].bank_means
    }


def to_host(
    outputs: Sequence[TaskOutput], norm: Tensor, comm: Collectives
) -> tuple[float, float, dict[str, float]]:
    """Average over micro-batches and ranks, and fetch loss, norm and terms in one transfer.

    What is not finite on one rank is not finite in the average: all ranks see it alike.
    """
    names = list(outputs[0].terms)
    table = torch.stack(
        [torch.stack([o.loss.detach(), *(o.terms[name] for name in names)]) for o in outputs]
    ).mean(dim=0)
    loss, *values, grad_norm = comm.mean(torch.cat([table, norm[None].to(table)])).tolist()
    return loss, grad_norm, dict(zip(names, values, strict=True))


def not_finite(step: int, loss: float, grad_norm: float, terms: dict[str, float]) -> str:
    """Describe a step that cannot be taken."""
    listed = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
    return f"step {step}: loss {loss:.4g}, gradient norm {grad_norm:.4g} ({listed})"


def write_optimizer(folder: Path, tensors: dict[str, Tensor], scaler: dict[str, float]) -> None:
    """Write AdamW's state by parameter (`NAME/exp_avg`, ...), the same for every backend."""
    save_file(
        {name: t.detach().cpu().contiguous() for name, t in tensors.items()}, folder / OPTIMIZER
    )
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
