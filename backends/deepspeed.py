"""DeepSpeed: ZeRO 0 to 3, offload; the same steps, with weights and moments cut up among ranks.

Checkpoints are whole and ours: weights and AdamW's moments by parameter, as every backend writes
them. So a run goes on with another number of ranks, another ZeRO stage or another backend, and
nobody needs DeepSpeed to read them.
"""

import logging
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from pgseg_backends.deepspeed_import import importing_deepspeed
from pgseg_backends.ds_config import read_ds_config
from pgseg_backends.grad_cache import CachedTask, cached_step
from pgseg_backends.group import GroupSession, ProcessGroup
from pgseg_backends.loss_scale import LossScale
from pgseg_backends.step import (
    bank_drift,
    check_precision,
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
from pgseg_backends.world import find_world
from pgseg_core.config import TrainConfig
from pgseg_core.data.batch import Batch
from pgseg_core.errors import ConfigError, TrainingError
from pgseg_core.train.optim import make_optimizer, set_learning_rate
from pgseg_core.train.protocols import StepReport
from pgseg_core.train.schedule import Schedule
from pgseg_core.train.task import TaskOutput, TrainTask

with importing_deepspeed():
    import deepspeed
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

    from pgseg_backends.zero_state import ZeroState

_COMPILED = "deepspeed_shm_comm"
"""An all-reduce through shared memory that DeepSpeed would compile at the first start on a CPU."""

_THRESHOLD, _DEFAULT_THRESHOLD = "stage3_param_persistence_threshold", 100_000
"""Parameters of fewer elements are not cut up in stage 3."""


class DeepSpeedBackend:
    """Joins what torchrun, srun, `deepspeed` or `--nproc` started."""

    def check(self, config: TrainConfig, world_size: int) -> None:
        """Compare ds.json with our configuration, and its ZeRO block with DeepSpeed's own.

        Raises:
            ConfigError: They contradict each other, or DeepSpeed does not know an option.
        """
        values = read_ds_config(config, world_size)
        try:
            DeepSpeedZeroConfig(**values["zero_optimization"])
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(["zero_optimization", *map(str, first["loc"])])
            raise ConfigError(
                f"{config.deepspeed}: {name}: {first['msg']}",
                hint="Its options: https://www.deepspeed.ai/docs/config-json",
            ) from None

    def open(self, config: TrainConfig) -> "DeepSpeedSession":
        """Check ds.json and find the other ranks.

        Raises:
            ConfigError: ds.json contradicts our configuration.
            BackendError: The other ranks did not come, or the device cannot do the precision.
        """
        read_ds_config(config, find_world().size)
        group = ProcessGroup(config, always=True)
        check_precision(config, group.device)
        return DeepSpeedSession(group)


class DeepSpeedSession(GroupSession):
    """This rank's device and its process group."""

    def wrap(self, task: TrainTask, config: TrainConfig, schedule: Schedule) -> "DeepSpeedEngine":
        """Hand the task to DeepSpeed; from stage 3 on its weights are cut up."""
        return DeepSpeedEngine(task.to(self.device).train(), config, schedule, self.group)


class DeepSpeedEngine:
    """Steps of DeepSpeed's engine.

    Args:
        task: The task on its device.
        config: Optimisation settings.
        schedule: Learning rates.
        group: The open process group.
    """

    def __init__(
        self, task: TrainTask, config: TrainConfig, schedule: Schedule, group: ProcessGroup
    ) -> None:
        values = read_ds_config(config, group.world.size)
        self.task = task
        self.config = config
        self.schedule = schedule
        self.group = group
        self.comm = group.comm
        self.stage: int = values["zero_optimization"]["stage"]
        self.plain = self.stage == 0
        values = {**values, "gradient_clipping": 0.0} if self.plain else values
        shapes = {name: tuple(p.shape) for name, p in task.model.named_parameters()}
        for parameter in task.model.parameters():
            if parameter.dim() == 0:  # temperatures: DeepSpeed broadcasts no scalars
                parameter.data = parameter.data.view(1)
        self.scale = LossScale(config.precision == "fp16")
        self.cached = make_cached(task, config, stop_early=self.stage < 3)
        root = _Root(self.cached or task, config, group)
        self.engine = _initialize(root, make_optimizer(task.model, config), values)
        self.state = ZeroState(self.engine, task.model, shapes, self.stage, group)

    def step(self, micro_batches: Sequence[Batch], step: int) -> StepReport:
        """Run one optimiser step; see `pgseg_core.train.protocols.Engine`."""
        with self.group.watched(f"step {step}"):
            return self._step(micro_batches, step)

    def _step(self, micro_batches: Sequence[Batch], step: int) -> StepReport:
        engine, scale = self.engine, self.scale.value
        lr = self.schedule.learning_rate(step)
        set_learning_rate(engine.optimizer, lr)
        self.task.model.fade_noise(self.schedule.noise(step))
        if self.scale.enabled and not self.plain:
            engine.optimizer.override_loss_scale(scale)
        batches = [batch.to(self.group.device) for batch in micro_batches]
        measure = is_measured(self.config, step)
        outputs = self._gradients(batches, noise_seed(self.config, step), measure)
        drift = bank_drift(self.task, outputs) if measure else {}
        loss, norm, terms = to_host(outputs, self._clip(), self.comm, drift)
        if not math.isfinite(loss) or not (math.isfinite(norm) or self.scale.enabled):
            raise TrainingError(not_finite(step, loss, norm, terms))
        if math.isfinite(norm):
            engine.step()  # which skips what overflows in stages 1 to 3
        else:
            engine.zero_grad()
        if not self.plain:
            norm = float(engine.get_global_grad_norm() or 0.0)
        skipped = self.scale.update(norm)
        if skipped and self.stage == 3:
            _gather_small(engine)
        if not skipped:
            if not math.isfinite(norm):
                raise TrainingError(not_finite(step, loss, norm, terms))
            self.task.model.move_banks(mean_banks(outputs))
        return StepReport(loss, terms, norm, lr, skipped=skipped, loss_scale=scale)

    def _gradients(self, batches: Sequence[Batch], seed: int, measure: bool) -> list[TaskOutput]:
        if self.cached is not None:

            def run(given: Any, part: int, parts: int, **options: Any) -> Any:
                torch.manual_seed(seed)
                return self.engine(given, part, parts, **options)

            if self.stage == 3:
                self.state.clear_gradients()
            output = cached_step(
                self.cached, batches, run=run, backward=self._backward, measure=measure
            )
            return [output]
        torch.manual_seed(seed)
        outputs = []
        measure = measure and self.stage < 3  # whose modules must see one way back, and only one
        for number, batch in enumerate(batches):
            output = self.engine(batch, measure=measure)
            last = number == len(batches) - 1
            self._backward(output.loss / len(batches), is_loss=True, last=last)
            outputs.append(output)
        return outputs

    def _backward(self, value: Tensor, *, is_loss: bool, last: bool) -> None:
        """Go back; in stages 1 to 3 DeepSpeed multiplies by the loss scale itself.

        What it gets is a product, also by 1: it mistakes a tensor that its own forward returned for
        a loss that is still to be divided.
        """
        factor = self.scale.value if self.plain and is_loss else 1.0
        if not self.plain and not is_loss:
            factor = 1 / self.scale.value
        self.engine.set_gradient_accumulation_boundary(last)
        self.engine.backward(value * factor, scale_wrt_gas=False)

    def save(self, folder: Path) -> None:
        """Gather AdamW's moments and write them from rank 0."""
        tensors = self.state.moments()
        if self.comm.rank == 0:
            write_optimizer(folder, tensors, self.scale.state())

    def load(self, folder: Path) -> None:
        """Read the moments that any backend wrote, and keep this rank's part.

        Raises:
            CheckpointError: The folder holds no optimiser state.
        """
        tensors, scale = read_optimizer(folder)
        self.scale.load(scale)
        self.state.set_moments(tensors)

    def weights(self) -> dict[str, Tensor] | None:
        """Gather the model's state in float32; rank 0 keeps it."""
        return self.state.weights()

    def _clip(self) -> Tensor:
        """Clip where DeepSpeed does not tell the norm; elsewhere it does both in its step."""
        if not self.plain:
            return torch.zeros((), device=self.group.device)
        parameters = [p for p in self.task.model.parameters() if p.grad is not None]
        if self.scale.enabled:
            divide_gradients(parameters, self.scale.value)
        return nn.utils.clip_grad_norm_(parameters, self.config.clip or float("inf"))


class _Root(nn.Module):
    """What DeepSpeed wraps: enters precision and noise inside, for outside it turns autocast off.

    Args:
        inner: The task, or the cached task.
        config: Says the precision.
        group: This rank's device and place.
    """

    def __init__(
        self, inner: TrainTask | CachedTask, config: TrainConfig, group: ProcessGroup
    ) -> None:
        super().__init__()
        self.inner = inner
        self.config = config
        self.group = group

    def forward(self, given: Any, part: int = 0, parts: int = 1, **options: Any) -> Any:
        """Call the task on a batch, or on part number `part` of `parts`."""
        group = self.group
        with precision_and_noise(self.config, group.device, group.comm, part, parts):
            return self.inner(given, **options)


def _initialize(task: nn.Module, optimizer: torch.optim.Optimizer, values: dict[str, Any]) -> Any:
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    # newer torch renames collectives that DeepSpeed calls; it would say so many times a step
    warnings.filterwarnings("ignore", "`torch.distributed.*` is deprecated", FutureWarning)
    deepspeed.ops.__compatible_ops__[_COMPILED] = False
    os.environ.setdefault("LOCAL_RANK", "0")  # which DeepSpeed insists on
    deepspeed.init_distributed(verbose=False)
    if values["zero_optimization"]["stage"] == 3:
        zero = values["zero_optimization"]
        largest = max(parameter.numel() for parameter in _used_outside_their_module(task))
        whole = max(zero.get(_THRESHOLD, _DEFAULT_THRESHOLD), largest)
        values = {**values, "zero_optimization": {**zero, _THRESHOLD: whole}}
    engine, *_ = deepspeed.initialize(
        model=task, optimizer=optimizer, config=values, dist_init_required=False
    )
    if values["zero_optimization"]["stage"] == 3:
        for parameter in engine.optimizer.persistent_parameters:
            parameter.is_external_param = True  # no module lets go of it after its first use
        _gather_small(engine)
    return engine


def _gather_small(engine: Any) -> None:
    """Make the parameters that are not cut up whole again, in stage 3.

    DeepSpeed does it after every step, but not at the start and not after one that it skips.
    """
    small = engine.optimizer.persistent_parameters
    if small:
        small[0].all_gather(small)


def _used_outside_their_module(task: nn.Module) -> list[nn.Parameter]:
    """Parameters that are not those of a torch layer whose own forward uses them.

    ZeRO-3 gathers a module's parameters while its forward runs, and finds the way back through
    tensors that it returns. Temperatures and BatchNorm's weights are read by methods, and modules
    with group tokens return dataclasses: these few parameters stay whole on every rank.
    """
    layers = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.Conv2d)
    return [
        parameter
        for module in task.modules()
        if not isinstance(module, layers)
        for parameter in module.parameters(recurse=False)
    ]
