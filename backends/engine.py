"""The steps of the torch backends: forward, backward, clip, update, on one rank or on many."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pgseg_backends.grad_cache import Part, cached_step
from pgseg_backends.loss_scale import LossScale
from pgseg_backends.step import (
    MOMENTS,
    average_gradients,
    bank_drift,
    divide_gradients,
    is_measured,
    make_cached,
    mean_banks,
    noise_seed,
    not_finite,
    precision_and_noise,
    read_optimizer,
    to_host,
    write_optimizer,
)
from pgseg_core.comm import Collectives
from pgseg_core.config import TrainConfig
from pgseg_core.data.batch import Batch
from pgseg_core.errors import TrainingError
from pgseg_core.train.encoded import Encoded
from pgseg_core.train.optim import make_optimizer, set_learning_rate
from pgseg_core.train.protocols import StepReport
from pgseg_core.train.schedule import Schedule
from pgseg_core.train.task import TaskOutput, TrainTask


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
        forward: Callable[..., TaskOutput] | None = None,
        unsynchronised: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.task = task
        self.config = config
        self.schedule = schedule
        self.device = device
        self.comm: Collectives = task.comm
        self.optimizer = make_optimizer(task.model, config)
        self.scale = LossScale(config.precision == "fp16")
        self._forward = forward or task
        self._unsynchronised = unsynchronised
        self._cached = make_cached(task, config)

    def step(self, micro_batches: Sequence[Batch], step: int) -> StepReport:
        """Run one optimiser step; see `pgseg_core.train.protocols.Engine`."""
        lr = self.schedule.learning_rate(step)
        set_learning_rate(self.optimizer, lr)
        self.task.model.fade_noise(self.schedule.noise(step))
        self.optimizer.zero_grad(set_to_none=True)
        batches = [batch.to(self.device) for batch in micro_batches]
        measure = is_measured(self.config, step)
        take = self._accumulate if self._cached is None else self._take_cached
        outputs = take(batches, step, measure)
        parameters = [p for p in self.task.model.parameters() if p.grad is not None]
        if self.scale.enabled:
            divide_gradients(parameters, self.scale.value)
        norm = nn.utils.clip_grad_norm_(parameters, self.config.clip or float("inf"))
        drift = bank_drift(self.task, outputs) if measure else {}
        loss, grad_norm, terms = to_host(outputs, norm, self.comm, drift)
        used_scale = self.scale.value
        skipped = math.isfinite(loss) and self.scale.update(grad_norm)
        if not skipped:
            if not math.isfinite(loss) or not math.isfinite(grad_norm):
                raise TrainingError(not_finite(step, loss, grad_norm, terms))
            self.optimizer.step()
            self.task.model.move_banks(mean_banks(outputs))
        return StepReport(loss, terms, grad_norm, lr, skipped=skipped, loss_scale=used_scale)

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
        write_optimizer(folder, tensors, self.scale.state())

    def load(self, folder: Path) -> None:
        """Read back what `save` wrote, on every rank.

        Raises:
            CheckpointError: The folder holds no optimiser state for this model.
        """
        tensors, scale = read_optimizer(folder)
        for name, parameter in self.task.model.named_parameters():
            if f"{name}/step" in tensors:
                self.optimizer.state[parameter] = {
                    moment: tensors[f"{name}/{moment}"].to(
                        "cpu" if moment == "step" and not self._fused() else parameter.device
                    )
                    for moment in MOMENTS
                }
        self.scale.load(scale)

    def weights(self) -> dict[str, Tensor] | None:
        """Return the model's state on rank 0."""
        return self.task.model.state_dict() if self.comm.rank == 0 else None

    def _fused(self) -> bool:
        return bool(self.optimizer.param_groups[0]["fused"])

    def _accumulate(self, batches: Sequence[Batch], step: int, measure: bool) -> list[TaskOutput]:
        """Add up the gradients of micro-batches that are each their own contrastive batch."""
        torch.manual_seed(noise_seed(self.config, step))
        outputs = []
        for number, batch in enumerate(batches):
            last = number == len(batches) - 1
            with nullcontext() if last else self._unsynchronised():
                with precision_and_noise(self.config, self.device, self.comm):
                    output = self._forward(batch, measure=measure)
                self._backward(output.loss / len(batches), is_loss=True, last=last)
            outputs.append(output)
        return outputs

    def _take_cached(self, batches: Sequence[Batch], step: int, measure: bool) -> list[TaskOutput]:
        """Take the gradients of one contrastive batch, encoded in parts; then average them."""
        cached = self._cached
        assert cached is not None

        def run(given: Part | Encoded, part: int, parts: int, **options: Any) -> Any:
            torch.manual_seed(noise_seed(self.config, step))
            with precision_and_noise(self.config, self.device, self.comm, part, parts):
                return cached(given, **options)

        output = cached_step(cached, batches, run=run, backward=self._backward, measure=measure)
        average_gradients(list(self.task.model.parameters()), self.comm)
        return [output]

    def _backward(self, value: Tensor, *, is_loss: bool, **_: object) -> None:
        torch.autograd.backward(value * self.scale.value if is_loss else value)
