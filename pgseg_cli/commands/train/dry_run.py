"""`pgseg train --dry-run`: what a run would be, and what it would take.

Imports torch, so the command imports it when it runs.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict

import yaml

from pgseg_backends.deepspeed_memory import deepspeed_states
from pgseg_backends.registry import check_settings
from pgseg_cli.console import print_json, print_table, say
from pgseg_core.config import Config, config_values
from pgseg_core.data.shards import Shard, find_shards
from pgseg_core.device import find_device
from pgseg_core.errors import DataError
from pgseg_core.train.plan import (
    DeviceKind,
    Memory,
    ModelSizes,
    StepPlan,
    find_kind,
    measure_sizes,
    memory_per_device,
    plan_step,
)
from pgseg_core.train.plan.memory import STAGES
from pgseg_core.train.run import check_batch
from pgseg_core.train.schedule import make_schedule

_GIB = 2**30


def show_plan(config: Config, devices: int, kind_name: str | None, *, json: bool) -> None:
    """Print the plan of a run on so many devices; start nothing.

    Raises:
        PgsegError: The options contradict each other, or name devices or data that are not there.
    """
    check_batch(config.train, devices)
    check_settings(config.train, devices)
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    half = config.train.precision != "fp32"
    kind = find_kind(kind_name, find_device(config.train.device), half)
    sizes = measure_sizes(config)
    memory = {
        stage: memory_per_device(
            sizes, config.train, devices=devices, joint_width=config.model.joint_width, stage=stage
        )
        for stage in STAGES
    }
    theirs = deepspeed_states(sizes.total, sizes.largest_layer, devices=devices)
    steps = {
        stage: plan_step(sizes, config, kind, devices=devices, stage=stage) for stage in STAGES
    }
    shards, missing = _shards(config)
    data = _data(config, shards, devices, steps[0])
    if json:
        print_json(
            {
                "config": config_values(config),
                "devices": devices,
                "kind": asdict(kind),
                "sizes": {**asdict(sizes), "total": sizes.total},
                "memory": {s: {**asdict(m), "total": m.total} for s, m in memory.items()},
                "deepspeed": theirs,
                "step": {
                    s: {**asdict(p), "seconds": p.seconds, "pairs_per_second": p.pairs_per_second}
                    for s, p in steps.items()
                },
                "data": data,
            }
        )
        return
    say(yaml.safe_dump(config_values(config), sort_keys=False).rstrip())
    rows = [(name, f"{count:,}") for name, count in sizes.parameters.items()]
    print_table("Parameters", ("part", "number"), [*rows, ("all", f"{sizes.total:,}")])
    _show_memory(memory, theirs, kind, devices)
    _show_steps(steps, sizes, kind, devices)
    print_table("Data", ("", ""), [(name, _text(value)) for name, value in data.items()])
    if missing:
        say(missing)


def _shards(config: Config) -> tuple[tuple[Shard, ...], str]:
    if not config.data.shards:
        return (), "no data is named: pgseg train --dry-run --data ... also counts steps and hours"
    try:
        return find_shards(config.data.shards, config.data.split), ""
    except DataError as error:
        return (), f"no data to count: {error.message}"


def _data(
    config: Config, shards: tuple[Shard, ...], devices: int, step: StepPlan
) -> dict[str, float]:
    pairs = sum(shard.num_samples for shard in shards)
    per_epoch = pairs // config.train.batch_size
    if not per_epoch:
        return {"shards": len(shards), "pairs": pairs}
    total = make_schedule(config.train, steps_per_epoch=per_epoch).steps
    return {
        "shards": len(shards),
        "shards per rank": len(shards) / devices,
        "pairs": pairs,
        "pairs per rank and epoch": per_epoch * config.train.batch_size // devices,
        "steps per epoch": per_epoch,
        "steps": total,
        "hours": total * step.seconds / 3600,
    }


def _show_memory(
    memory: dict[int, Memory],
    theirs: dict[int, float] | None,
    kind: DeviceKind,
    devices: int,
) -> None:
    rows = [
        (
            f"ZeRO {stage}",
            _gib(of.states),
            _gib(theirs[stage]) if theirs and stage in theirs else "-",
            _gib(of.activations),
            _gib(of.contrast),
            _gib(of.total),
            "yes" if of.total < kind.memory else "no",
        )
        for stage, of in memory.items()
    ]
    names = ("", "states", "DeepSpeed's", "activations", "contrast", "all", "fits")
    title = f"GiB per device, of {kind.memory / _GIB:.0f}, on {devices} x {kind.name}"
    print_table(title, names, rows)


def _show_steps(
    steps: dict[int, StepPlan], sizes: ModelSizes, kind: DeviceKind, devices: int
) -> None:
    def row(name: str, show: Callable[[StepPlan], str]) -> tuple[str, ...]:
        return (name, *(show(of) for of in steps.values()))

    rows = [
        row("features, MB sent", lambda of: f"{of.features / 1e6:.1f}"),
        row("gradients, weights, MB", lambda of: f"{of.gradients / 1e6:.1f}"),
        row("BatchNorm, MB", lambda of: f"{of.norms / 1e6:.1f}"),
        row("banks, MB", lambda of: f"{of.banks / 1e6:.1f}"),
        row("compute, ms", lambda of: f"{1e3 * of.compute:.0f}"),
        row("matching, ms", lambda of: f"{1e3 * of.matching:.0f}"),
        row("exchange, ms", lambda of: f"{1e3 * of.exchange:.0f}"),
        row("reading meanwhile, ms", lambda of: f"{1e3 * of.reading:.0f}"),
        row("pairs/s", lambda of: f"{of.pairs_per_second:,.0f}"),
        row("efficiency", lambda of: f"{of.efficiency:.0%}"),
        row("limit", lambda of: of.limit),
    ]
    columns = ("", *(f"ZeRO {stage}" for stage in steps))
    rate = kind.flops * kind.utilisation / 1e12
    print_table(
        f"A step on {devices} x {kind.name}: {sizes.flops_per_pair / 1e9:.1f} GFLOP a pair "
        f"forward, {rate:.3g} TFLOP/s a device",
        columns,
        rows,
    )


def _gib(size: float) -> str:
    return f"{size / _GIB:.2f}"


def _text(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
