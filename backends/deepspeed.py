"""DeepSpeed: ZeRO 0 to 3, offload; the same steps, with weights and moments cut up among ranks.

Checkpoints are whole and ours: weights and AdamW's moments by parameter, as every backend writes
them. So a run goes on with another number of ranks, another ZeRO stage or another backend, and
nobody needs DeepSpeed to read them.
"""

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backends.ds_config import read_ds_config
from backends.engine import (
    MOMENTS,
    check_precision,
    forward,
    mean_banks,
    not_finite,
    read_optimizer,
    to_host,
    write_optimizer,
)
from backends.group import ProcessGroup
from backends.world import find_world
from pgseg_core.comm import Collectives
from pgseg_core.config import TrainConfig
from pgseg_core.data.batch import Batch
from pgseg_core.errors import TrainingError
from pgseg_core.train.optim import make_optimizer, set_learning_rate
from pgseg_core.train.protocols import StepReport
from pgseg_core.train.schedule import Schedule
from pgseg_core.train.task import TaskOutput, TrainTask

if not torch.cuda.is_available():
    os.environ.setdefault("DS_ACCELERATOR", "cpu")

import deepspeed
from deepspeed.utils import (
    safe_get_full_fp32_param,
    safe_get_full_optimizer_state,
    safe_set_full_optimizer_state,
    safe_set_local_optimizer_state,
)

_COMPILED = "deepspeed_shm_comm"
"""An all-reduce through shared memory that DeepSpeed would compile at the first start on a CPU."""

_THRESHOLD, _DEFAULT_THRESHOLD = "stage3_param_persistence_threshold", 100_000
"""Parameters of fewer elements are not cut up in stage 3."""


class DeepSpeedBackend:
    """Joins what torchrun, srun, `deepspeed` or `--nproc` started."""

    def check(self, config: TrainConfig, world_size: int) -> None:
        """Compare ds.json with our configuration.

        Raises:
            ConfigError: They contradict each other.
        """
        read_ds_config(config, world_size)

    def open(self, config: TrainConfig) -> "DeepSpeedSession":
        """Check ds.json and find the other ranks.

        Raises:
            ConfigError: ds.json contradicts our configuration.
            BackendError: The other ranks did not come, or the device cannot do the precision.
        """
        values = read_ds_config(config, find_world().size)
        group = ProcessGroup(config, always=True)
        check_precision(config, group.device)
        return DeepSpeedSession(group, values)


class DeepSpeedSession:
    """This rank's device, its process group and DeepSpeed's configuration."""

    def __init__(self, group: ProcessGroup, values: dict[str, Any]) -> None:
        self.group = group
        self.values = values
        self.device: torch.device = group.device
        self.comm: Collectives = group.comm

    def wrap(self, task: TrainTask, config: TrainConfig, schedule: Schedule) -> "DeepSpeedEngine":
        """Hand the task to DeepSpeed; from stage 3 on its weights are cut up."""
        return DeepSpeedEngine(
            task.to(self.device).train(), config, schedule, self.group, self.values
        )

    def close(self) -> None:
        """Leave the process group."""
        self.group.close()


class DeepSpeedEngine:
    """Steps of DeepSpeed's engine.

    Args:
        task: The task on its device.
        config: Optimisation settings.
        schedule: Learning rates.
        group: The open process group.
        values: From `read_ds_config`.
    """

    def __init__(
        self,
        task: TrainTask,
        config: TrainConfig,
        schedule: Schedule,
        group: ProcessGroup,
        values: dict[str, Any],
    ) -> None:
        self.task = task
        self.config = config
        self.schedule = schedule
        self.group = group
        self.comm = group.comm
        self.stage: int = values["zero_optimization"]["stage"]
        self.plain = self.stage == 0
        values = {**values, "gradient_clipping": 0.0} if self.plain else values
        self.names = {name: tuple(p.shape) for name, p in task.model.named_parameters()}
        for parameter in task.model.parameters():
            if parameter.dim() == 0:  # temperatures: DeepSpeed broadcasts no scalars
                parameter.data = parameter.data.view(1)
        self.engine = _initialize(task, make_optimizer(task.model, config), values)

    def step(self, micro_batches: Sequence[Batch], step: int) -> StepReport:
        """Run one optimiser step; see `pgseg_core.train.protocols.Engine`."""
        with self.group.watched(f"step {step}"):
            return self._step(micro_batches, step)

    def _step(self, micro_batches: Sequence[Batch], step: int) -> StepReport:
        torch.manual_seed(self.config.seed * 1_000_003 + step)
        engine, device = self.engine, self.group.device
        lr = self.schedule.learning_rate(step)
        set_learning_rate(engine.optimizer, lr)
        outputs: list[TaskOutput] = []
        for batch in micro_batches:
            if outputs:
                engine.step()  # tells DeepSpeed that a micro-batch is done; changes nothing
            output = forward(engine, batch.to(device), self.config, self.comm)
            engine.backward(output.loss)
            outputs.append(output)
        loss, norm, terms = to_host(outputs, self._clip(), self.comm)
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise TrainingError(not_finite(step, loss, norm, terms))
        engine.step()
        if not self.plain:
            norm = float(engine.get_global_grad_norm() or 0.0)
        if not math.isfinite(norm):
            raise TrainingError(not_finite(step, loss, norm, terms))
        self.task.model.move_banks(mean_banks(outputs))
        return StepReport(loss, terms, norm, lr)

    def save(self, folder: Path) -> None:
        """Gather AdamW's moments, one parameter at a time, and write them from rank 0."""
        tensors: dict[str, Tensor] = {}
        _link_moments(self.engine.optimizer)
        for name, parameter in self.task.model.named_parameters():
            for moment in MOMENTS:
                value = self._moment(parameter, moment)
                if self.comm.rank == 0 and value is not None:
                    tensors[f"{name}/{moment}"] = (
                        value.detach().cpu().reshape(() if moment == "step" else self.names[name])
                    )
        if self.comm.rank == 0:
            write_optimizer(folder, tensors, {})

    def load(self, folder: Path) -> None:
        """Read the moments that any backend wrote, and keep this rank's part.

        Raises:
            CheckpointError: The folder holds no optimiser state.
        """
        tensors, _ = read_optimizer(folder)
        steps = [value for name, value in tensors.items() if name.endswith("/step")]
        if not steps:
            return
        optimizer = _inner(self.engine.optimizer)
        fused = optimizer.param_groups[0]["fused"]
        for flat in self._own_parts():
            optimizer.state[flat] = {
                "step": steps[0].clone().to(flat.device if fused else "cpu"),
                "exp_avg": torch.zeros_like(flat),
                "exp_avg_sq": torch.zeros_like(flat),
            }
        _link_moments(self.engine.optimizer)
        for name, parameter in self.task.model.named_parameters():
            for moment in ("exp_avg", "exp_avg_sq"):
                self._set_moment(parameter, moment, tensors[f"{name}/{moment}"])

    def weights(self) -> dict[str, Tensor] | None:
        """Gather the model's state in float32, one parameter at a time; rank 0 keeps it."""
        state: dict[str, Tensor] = {}
        for name, parameter in self.task.model.named_parameters():
            whole = safe_get_full_fp32_param(parameter)
            if self.comm.rank == 0:
                value = parameter if whole is None else whole
                state[name] = value.detach().cpu().reshape(self.names[name])
        if self.comm.rank != 0:
            return None
        return {**state, **{n: b.detach().cpu() for n, b in self.task.model.named_buffers()}}

    def _clip(self) -> Tensor:
        """Clip where DeepSpeed does not tell the norm; elsewhere it does both in its step."""
        if not self.plain:
            return torch.zeros((), device=self.group.device)
        limit = self.config.clip or float("inf")
        return nn.utils.clip_grad_norm_(list(self.task.model.parameters()), limit)

    def _own_parts(self) -> list[Tensor]:
        """Return what this rank's AdamW steps on: parameters, or flat pieces of them."""
        if self.stage == 3:
            return list(self.engine.optimizer.fp32_partitioned_groups_flat)
        groups = _inner(self.engine.optimizer).param_groups
        return [flat for group in groups for flat in group["params"]]

    def _moment(self, parameter: nn.Parameter, moment: str) -> Tensor | None:
        optimizer = _inner(self.engine.optimizer)
        if not optimizer.state:
            return None
        if moment == "step":
            state: dict[str, Tensor] = next(iter(optimizer.state.values()))
            return torch.tensor(float(state["step"]))
        if self.plain:
            value: Tensor = optimizer.state[parameter][moment]
            return value
        whole: Tensor | None = safe_get_full_optimizer_state(parameter, moment)
        return whole

    def _set_moment(self, parameter: nn.Parameter, moment: str, value: Tensor) -> None:
        value = value.to(self.group.device)
        if self.plain:
            _inner(self.engine.optimizer).state[parameter][moment].copy_(value)
        elif self.stage < 3:
            safe_set_full_optimizer_state(parameter, value, moment)
        else:
            size = int(getattr(parameter, "ds_tensor").ds_numel)  # noqa: B009 - not torch's own
            padded = F.pad(value.flatten(), (0, size * self.comm.world_size - value.numel()))
            own = padded[self.comm.rank * size :][:size]
            safe_set_local_optimizer_state(parameter, own, moment)


def _initialize(task: TrainTask, optimizer: torch.optim.Optimizer, values: dict[str, Any]) -> Any:
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
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
    if values["zero_optimization"]["stage"] == 3:  # as DeepSpeed does after every step
        small = engine.optimizer.persistent_parameters
        for parameter in small:
            parameter.is_external_param = True  # no module lets go of it after its first use
        small[0].all_gather(small)
    return engine


def _used_outside_their_module(task: TrainTask) -> list[nn.Parameter]:
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


def _link_moments(optimizer: Any) -> None:
    """Make the moments of all groups readable by parameter.

    ZeRO 1 and 2 do it once, after the first group's first step, when the second has none yet.
    """
    if hasattr(optimizer, "_lazy_init_hp_params_optimizer_state") and _inner(optimizer).state:
        optimizer._hp_optimizer_states_linked = False
        optimizer._lazy_init_hp_params_optimizer_state()


def _inner(optimizer: Any) -> torch.optim.Optimizer:
    """Return torch's optimiser inside DeepSpeed's."""
    inner: torch.optim.Optimizer = (
        optimizer
        if isinstance(optimizer, torch.optim.Optimizer)
        else getattr(optimizer, "optimizer", optimizer)
    )
    return inner
