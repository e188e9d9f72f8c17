"""One process on one device: CPU, CUDA or MPS."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pgseg_core.comm import LocalCollectives
from pgseg_core.config import TrainConfig
from pgseg_core.data.batch import Batch
from pgseg_core.device import find_device
from pgseg_core.errors import BackendError, CheckpointError, TrainingError
from pgseg_core.train.optim import make_optimizer
from pgseg_core.train.protocols import StepReport
from pgseg_core.train.schedule import Schedule
from pgseg_core.train.task import TaskOutput, TrainTask

_PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
OPTIMIZER, SCALER = "optimizer.safetensors", "scaler.json"


class SingleBackend:
    """Everything in this process."""

    def open(self, config: TrainConfig) -> "SingleSession":
        """Choose the device.

        Raises:
            BackendError: The device that the configuration names is not there, or cannot do the
                precision.
        """
        device = find_device(config.device)
        if config.precision == "fp16" and device.type != "cuda":
            raise BackendError(
                f"train.precision: fp16 needs a CUDA device, this run uses {device.type}",
                hint="--set train.precision=bf16",
            )
        return SingleSession(device)


class SingleSession:
    """A world of one."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.comm = LocalCollectives()

    def wrap(self, task: TrainTask, config: TrainConfig, schedule: Schedule) -> "SingleEngine":
        """Move the task to the device and make its engine."""
        return SingleEngine(task.to(self.device).train(), config, schedule, self.device)

    def close(self) -> None:
        """Nothing was opened."""


class SingleEngine:
    """Forward, backward, clip, update, in one process."""

    def __init__(
        self, task: TrainTask, config: TrainConfig, schedule: Schedule, device: torch.device
    ) -> None:
        self.task = task
        self.config = config
        self.schedule = schedule
        self.device = device
        self.optimizer = make_optimizer(task.model, config)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")

    def step(self, micro_batches: Sequence[Batch], step: int) -> StepReport:
        """Run one optimiser step; see `pgseg_core.train.protocols.Engine`."""
        torch.manual_seed(self.config.seed * 1_000_003 + step)
        lr = self.schedule.learning_rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        outputs = [self._forward_backward(batch, len(micro_batches)) for batch in micro_batches]
        self.scaler.unscale_(self.optimizer)
        limit = self.config.clip or float("inf")
        parameters = list(self.task.model.parameters())
        norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
        loss, grad_norm, terms = _to_host(outputs, norm)
        overflow = self.scaler.is_enabled() and not math.isfinite(grad_norm)
        if not math.isfinite(loss) or (not math.isfinite(grad_norm) and not overflow):
            raise TrainingError(_not_finite(step, loss, grad_norm, terms))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if not overflow:
            self._move_banks(outputs)
        return StepReport(loss, terms, grad_norm, lr, skipped=overflow)

    def save(self, folder: Path) -> None:
        """Write the optimiser's moments, and the loss scale of fp16."""
        tensors = {
            f"{name}/{moment}": self.optimizer.state[parameter][moment]
            for name, parameter in self.task.model.named_parameters()
            if parameter in self.optimizer.state
            for moment in _MOMENTS
        }
        save_file(
            {name: t.detach().cpu().contiguous() for name, t in tensors.items()}, folder / OPTIMIZER
        )
        (folder / SCALER).write_text(json.dumps(self.scaler.state_dict()), "utf-8")

    def load(self, folder: Path) -> None:
        """Read back what `save` wrote.

        Raises:
            CheckpointError: The folder holds no optimiser state for this model.
        """
        try:
            tensors = load_file(folder / OPTIMIZER)
            scaler = json.loads((folder / SCALER).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{folder}: no optimiser state to resume from ({error})"
            ) from None
        for name, parameter in self.task.model.named_parameters():
            if f"{name}/step" in tensors:
                self.optimizer.state[parameter] = {
                    moment: tensors[f"{name}/{moment}"].to(
                        "cpu" if moment == "step" and not self._fused() else parameter.device
                    )
                    for moment in _MOMENTS
                }
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(scaler)

    def weights(self) -> dict[str, Tensor]:
        """Return the model's state."""
        return self.task.model.state_dict()

    def _fused(self) -> bool:
        return bool(self.optimizer.param_groups[0]["fused"])

    def _forward_backward(self, batch: Batch, parts: int) -> TaskOutput:
        dtype = _PRECISIONS.get(self.config.precision)
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            output: TaskOutput = self.task(batch.to(self.device))
        torch.autograd.backward(self.scaler.scale(output.loss / parts))
        return output

    def _move_banks(self, outputs: Sequence[TaskOutput]) -> None:
        """Apply the step's prototype estimates, averaged over its micro-batches."""
        self.task.model.move_banks(
            {
                name: torch.stack([output.bank_means[name] for output in outputs]).mean(dim=0)
                for name in outputs[0].bank_means
            }
        )


def _to_host(outputs: Sequence[TaskOutput], norm: Tensor) -> tuple[float, float, dict[str, float]]:
    """Average over micro-batches and fetch loss, gradient norm and terms in one transfer."""
    names = list(outputs[0].terms)
    table = torch.stack(
        [torch.stack([o.loss.detach(), *(o.terms[name] for name in names)]) for o in outputs]
    ).mean(dim=0)
    loss, *values, grad_norm = torch.cat([table, norm[None].to(table)]).tolist()
    return loss, grad_norm, dict(zip(names, values, strict=True))


def _not_finite(step: int, loss: float, grad_norm: float, terms: dict[str, float]) -> str:
    listed = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
    return f"step {step}: loss {loss:.4g}, gradient norm {grad_norm:.4g} ({listed})"
