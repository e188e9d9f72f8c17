"""What a run will take, before it is started: sizes, memory, traffic, time."""

from pgseg_core.train.plan.devices import KINDS, DeviceKind, find_kind, measure_here
from pgseg_core.train.plan.memory import Memory, memory_per_device
from pgseg_core.train.plan.sizes import ModelSizes, measure_sizes
from pgseg_core.train.plan.step import StepPlan, plan_step

__all__ = [
    "KINDS",
    "DeviceKind",
    "Memory",
    "ModelSizes",
    "StepPlan",
    "find_kind",
    "measure_here",
    "measure_sizes",
    "memory_per_device",
    "plan_step",
]
