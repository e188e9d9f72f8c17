"""The steps of the torch backends: forward, backward, clip, update, on one rank or on many."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from backends.grad_cache import CachedTask, Part, cached_step
from backends.loss_scale import LossScale
from backends.noise import RankNoise
from pgseg_core.comm import Collectives
from pgseg_core.config import TrainConfig
from pgseg_core.data.batch import Batch
from pgseg_core.errors import BackendError, CheckpointError, TrainingError
from pgseg_core.train.encoded import Encoded
from pgseg_core.train.optim import make_optimizer, set_learning_rate
from pgseg_core.train.protocols import StepReport
from pgseg_core.train.schedule import Schedule
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
    dtype = PRECISIONS.get(config.precision)
    with (
        torch.autocast(device.type, dtype=dtype, enabled=dtype is not None),
        RankNoise(comm.rank * parts + part, comm.world_size * parts),
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
