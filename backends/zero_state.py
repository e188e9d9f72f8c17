"""Weights and moments out of DeepSpeed's pieces, and back: whole, by parameter name.

Every rank calls everything here, because the pieces lie on all of them.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from deepspeed.utils import (
    safe_get_full_fp32_param,
    safe_get_full_optimizer_state,
    safe_set_full_optimizer_state,
    safe_set_local_grad,
    safe_set_local_optimizer_state,
)
from torch import Tensor, nn

from pgseg_backends.group import ProcessGroup
from pgseg_backends.step import MOMENTS
from pgseg_core.networks.grouping import PGSeg


class ZeroState:
    """What DeepSpeed's engine holds of a model.

    Args:
        engine: DeepSpeed's engine.
        model: The model inside it.
        shapes: Shapes of the parameters before DeepSpeed changed any.
        stage: ZeRO stage.
        group: This rank's device and place.
    """

    def __init__(
        self,
        engine: Any,
        model: PGSeg,
        shapes: Mapping[str, tuple[int, ...]],
        stage: int,
        group: ProcessGroup,
    ) -> None:
        self.engine = engine
        self.model = model
        self.shapes = shapes
        self.stage = stage
        self.group = group
        self.comm = group.comm
        self.kept = set(model.state_dict())

    def moments(self) -> dict[str, Tensor]:
        """Gather AdamW's moments, one parameter at a time; empty but on rank 0."""
        tensors: dict[str, Tensor] = {}
        _link_moments(self.engine.optimizer)
        for name, parameter in self._trained():
            for moment in MOMENTS:
                value = self._moment(parameter, moment)
                if self.comm.rank == 0 and value is not None:
                    shape = () if moment == "step" else self.shapes[name]
                    tensors[f"{name}/{moment}"] = value.detach().cpu().reshape(shape)
        return tensors

    def set_moments(self, tensors: Mapping[str, Tensor]) -> None:
        """Keep this rank's part of the moments; none are set if there are none."""
        steps = [value for name, value in tensors.items() if name.endswith("/step")]
        if not steps:
            return
        optimizer = inner_optimizer(self.engine.optimizer)
        fused = optimizer.param_groups[0]["fused"]
        for flat in self._own_parts():
            optimizer.state[flat] = {
                "step": steps[0].clone().to(flat.device if fused else "cpu"),
                "exp_avg": torch.zeros_like(flat),
                "exp_avg_sq": torch.zeros_like(flat),
            }
        _link_moments(self.engine.optimizer)
        for name, parameter in self._trained():
            for moment in ("exp_avg", "exp_avg_sq"):
                if f"{name}/{moment}" in tensors:
                    self._set_moment(parameter, moment, tensors[f"{name}/{moment}"])

    def weights(self) -> dict[str, Tensor] | None:
        """Gather the model's state in float32, one parameter at a time; rank 0 keeps it."""
        state: dict[str, Tensor] = {}
        for name, parameter in self.model.named_parameters():
            whole = safe_get_full_fp32_param(parameter)
            if self.comm.rank == 0:
                value = parameter if whole is None else whole
                state[name] = value.detach().cpu().reshape(self.shapes[name])
        if self.comm.rank != 0:
            return None
        buffers = {n: b.detach().cpu() for n, b in self.model.named_buffers() if n in self.kept}
        return {**state, **buffers}

    def clear_gradients(self) -> None:
        """Set this rank's pieces of the gradients to zero, in stage 3.

        It overwrites them in a step's first backward pass and adds in the others, so pieces that
        the first does not reach would begin with the last step's.
        """
        for _, parameter in self._trained():
            safe_set_local_grad(parameter, torch.zeros_like(_piece(parameter)))

    def _trained(self) -> list[tuple[str, nn.Parameter]]:
        return [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]

    def _own_parts(self) -> list[Tensor]:
        """Return what this rank's AdamW steps on: parameters, or flat pieces of them."""
        if self.stage == 3:
            return list(self.engine.optimizer.fp32_partitioned_groups_flat)
        groups = inner_optimizer(self.engine.optimizer).param_groups
        return [flat for group in groups for flat in group["params"]]

    def _moment(self, parameter: nn.Parameter, moment: str) -> Tensor | None:
        optimizer = inner_optimizer(self.engine.optimizer)
        if not optimizer.state:
            return None
        if moment == "step":
            state: dict[str, Tensor] = next(iter(optimizer.state.values()))
            return torch.tensor(float(state["step"]))
        if self.stage == 0:
            value: Tensor = optimizer.state[parameter][moment]
            return value
        whole: Tensor | None = safe_get_full_optimizer_state(parameter, moment)
        return whole

    def _set_moment(self, parameter: nn.Parameter, moment: str, value: Tensor) -> None:
        value = value.to(self.group.device)
        if self.stage == 0:
            inner_optimizer(self.engine.optimizer).state[parameter][moment].copy_(value)
        elif self.stage < 3:
            safe_set_full_optimizer_state(parameter, value, moment)
        else:
            size = _piece(parameter).numel()
            padded = F.pad(value.flatten(), (0, size * self.comm.world_size - value.numel()))
            own = padded[self.comm.rank * size :][:size]
            safe_set_local_optimizer_state(parameter, own, moment)


def inner_optimizer(optimizer: Any) -> torch.optim.Optimizer:
    """Return torch's optimiser inside DeepSpeed's."""
    inner: torch.optim.Optimizer = (
        optimizer
        if isinstance(optimizer, torch.optim.Optimizer)
        else getattr(optimizer, "optimizer", optimizer)
    )
    return inner


def _piece(parameter: nn.Parameter) -> Tensor:
    """Return this rank's piece of a parameter, in stage 3."""
    piece: Tensor = getattr(parameter, "ds_tensor")  # noqa: B009 - not torch's own attribute
    return piece


def _link_moments(optimizer: Any) -> None:
    """Make the moments of all groups readable by parameter.

    ZeRO 1 and 2 do it once, after the first group's first step, when the second has none yet.
    """
    linked = hasattr(optimizer, "_lazy_init_hp_params_optimizer_state")
    if linked and inner_optimizer(optimizer).state:
        optimizer._hp_optimizer_states_linked = False
        optimizer._lazy_init_hp_params_optimizer_state()
