"""DeepSpeed's own file, filled in from our configuration and checked against it.

Knows no DeepSpeed: contradictions are found before anything is imported or started.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pgseg_core.config import TrainConfig
from pgseg_core.errors import ConfigError, nearest_name

AUTO = "auto"
_ADAMW = {"eps": 1e-8}
_STAGES = (0, 1, 2, 3)
_KEYS = (
    "train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps",
    "gradient_clipping", "optimizer", "scheduler", "bf16", "fp16", "zero_optimization", "aio",
    "activation_checkpointing", "communication_data_type", "comms_logger", "flops_profiler",
    "prescale_gradients", "steps_per_print", "wall_clock_breakdown", "zero_force_ds_cpu_optimizer",
)  # fmt: skip
"""What a file for training usually holds; a key that is nearly one of these was meant to be it."""
_OTHER_TRAINING = (
    "amp", "torch_autocast", "compression_training", "curriculum_learning", "data_efficiency",
    "elasticity", "progressive_layer_drop",
)  # fmt: skip
"""Blocks that, enabled, would change what is computed behind our configuration."""


def read_ds_config(config: TrainConfig, world_size: int) -> dict[str, Any]:
    """Read ds.json, fill every "auto" from our configuration, and refuse contradictions.

    The optimiser and schedule stay ours (AdamW in two groups, warm-up and cosine): their blocks may
    be left out, be "auto" or agree, and are taken out of the result.

    Args:
        config: Names the file (`train.deepspeed`; empty for ZeRO 0), batch, precision, optimiser.
        world_size: Number of ranks.

    Returns:
        A complete DeepSpeed configuration.

    Raises:
        ConfigError: The file is missing, no JSON, or says something else than our configuration.
    """
    origin = config.deepspeed or "DeepSpeed's defaults"
    values = _read(Path(config.deepspeed)) if config.deepspeed else {}
    _check_keys(values, origin)
    _fill_batch(values, config, world_size, origin)
    _agree(values, "gradient_clipping", config.clip, "train.clip", origin)
    _check_optimizer(values, config, origin)
    _check_scheduler(values, origin)
    _check_precision(values, config, origin)
    _check_zero(values, origin, compiled=config.compile)
    left = next(_autos(values, ""), None)
    if left is not None:
        raise ConfigError(
            f'{origin}: {left} is "auto", but nothing in our configuration says what it should be',
            hint="Write a value, or take the key out for DeepSpeed's default",
        )
    values.setdefault("steps_per_print", 10**9)
    return values


def precision_of(file: str) -> Literal["bf16", "fp16"] | None:
    """Return the precision that ds.json switches on, if it does.

    Raises:
        ConfigError: The file is missing or no JSON.
    """
    values = _read(Path(file)) if file else {}
    kinds: tuple[Literal["bf16", "fp16"], ...] = ("bf16", "fp16")
    for kind in kinds:
        block = values.get(kind)
        if isinstance(block, dict) and block.get("enabled") is True:
            return kind
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such DeepSpeed configuration",
            hint="Ready ones are in examples/deepspeed: --deepspeed examples/deepspeed/zero2.json",
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} is not valid JSON: {error}",
            hint="Mend it there, or take a ready one: --deepspeed examples/deepspeed/zero2.json",
        ) from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} does not hold a JSON object", hint="Start it with {")
    return values


def _check_keys(values: Mapping[str, Any], origin: str) -> None:
    """Refuse misspelt keys, which DeepSpeed passes over, and blocks that change the training."""
    for name, value in values.items():
        meant = "" if name in _KEYS else nearest_name(name, _KEYS, likeness=0.85)
        if meant:
            raise ConfigError(
                f"{origin}: DeepSpeed knows no key {name}", hint=f"Did you mean {meant}?"
            )
        enabled = isinstance(value, Mapping) and value.get("enabled", False) is not False
        if name in _OTHER_TRAINING and enabled:
            raise ConfigError(
                f"{origin}: {name} is enabled, which would change what train and data say",
                hint="Take the block out of the file",
            )


def _fill_batch(values: dict[str, Any], config: TrainConfig, world_size: int, origin: str) -> None:
    """Check train_batch_size = micro batch x accumulation x ranks."""
    _agree(values, "train_batch_size", config.batch_size, "train.batch_size", origin)
    _agree(values, "gradient_accumulation_steps", config.accumulate, "train.accumulate", origin)
    parts = config.accumulate * world_size
    micro = values.get("train_micro_batch_size_per_gpu", AUTO)
    if micro == AUTO:
        micro = config.batch_size // parts
    if micro * parts != config.batch_size:
        fits = micro * parts if isinstance(micro, int) else config.batch_size
        raise ConfigError(
            f"{origin}: train_micro_batch_size_per_gpu {micro} x {config.accumulate} micro-batches "
            f"x {world_size} ranks is not train.batch_size {config.batch_size}",
            hint=f'--set train.batch_size={fits}, or write "auto" in the file',
        )
    values["train_micro_batch_size_per_gpu"] = micro


def _check_optimizer(values: dict[str, Any], config: TrainConfig, origin: str) -> None:
    block = values.pop("optimizer", None)
    if block is None:
        return
    _mapping(block, "optimizer", origin)
    kind = block.get("type", AUTO)
    if str(kind).lower() not in (AUTO, "adamw"):
        raise ConfigError(
            f"{origin}: optimizer.type is {kind}, but pgseg trains with AdamW",
            hint='Write "AdamW", or take the optimizer block out',
        )
    ours = {
        "lr": config.lr,
        "betas": list(config.betas),
        "weight_decay": config.weight_decay,
        **_ADAMW,
    }
    given = block.get("params", {})
    _mapping(given, "optimizer.params", origin)
    for name, value in given.items():
        if name in ours and value not in (AUTO, ours[name]):
            option = f"train.{name}" if name not in _ADAMW else "AdamW's epsilon"
            raise _contradiction(origin, f"optimizer.params.{name}", value, option, ours[name])


def _check_scheduler(values: dict[str, Any], origin: str) -> None:
    block = values.pop("scheduler", None)
    if block is None:
        return
    _mapping(block, "scheduler", origin)
    given = block.get("params", {})
    _mapping(given, "scheduler.params", origin)
    fixed = [name for name, value in given.items() if value != AUTO]
    if block.get("type", AUTO) not in (AUTO, "WarmupCosineLR") or fixed:
        what = f"scheduler.params.{fixed[0]}" if fixed else f"scheduler.type {block['type']}"
        raise ConfigError(
            f"{origin}: {what} contradicts pgseg's schedule, a linear warm-up and half a cosine",
            hint="Take the scheduler block out, and use --set train.warmup_epochs, train.lr, "
            "train.min_lr, train.warmup_lr",
        )


def _check_precision(values: dict[str, Any], config: TrainConfig, origin: str) -> None:
    """Take the precision blocks out: `train.precision` computes in halves beside float32 weights.

    DeepSpeed would turn the weights themselves into halves, also where the losses need float32. The
    loss scale of fp16 is ours too.
    """
    for kind in ("bf16", "fp16"):
        block = values.pop(kind, {})
        _mapping(block, kind, origin)
        if block.get("enabled", False) not in (False, AUTO) and config.precision != kind:
            raise ConfigError(
                f"{origin}: {kind} is enabled, but train.precision is {config.precision}",
                hint=f'--set train.precision={kind}, or write "enabled": "auto" in the file',
            )


def _check_zero(values: dict[str, Any], origin: str, *, compiled: bool) -> None:
    zero = values.setdefault("zero_optimization", {"stage": 0})
    _mapping(zero, "zero_optimization", origin)
    for name in [name for name, value in zero.items() if value == AUTO and name != "stage"]:
        del zero[name]  # DeepSpeed's own default
    if zero.setdefault("stage", 0) not in _STAGES:
        raise ConfigError(
            f"{origin}: zero_optimization.stage is {zero['stage']!r}", hint="It is 0, 1, 2 or 3"
        )
    if "offload_param" in zero and zero["stage"] != 3:
        raise ConfigError(
            f"{origin}: zero_optimization.offload_param is for stage 3, but the stage is "
            f"{zero['stage']}",
            hint='Write "stage": 3, or offload_optimizer instead',
        )
    if compiled and zero["stage"] == 3:
        raise ConfigError(
            f"{origin}: train.compile does not go with ZeRO stage 3, which fetches weights on "
            "the way",
            hint='Write "stage": 2, or --set train.compile=false',
        )
    if "offload_optimizer" in zero:  # our AdamW runs there; DeepSpeed's needs a compiler
        values.setdefault("zero_force_ds_cpu_optimizer", False)


def _agree(values: dict[str, Any], name: str, ours: float, option: str, origin: str) -> None:
    given = values.get(name, AUTO)
    if given not in (AUTO, ours):
        raise _contradiction(origin, name, given, option, ours)
    values[name] = ours


def _contradiction(origin: str, name: str, given: Any, option: str, ours: Any) -> ConfigError:
    number = isinstance(given, int | float) and not isinstance(given, bool)
    settable = "." in option and number
    change = f"--set {option}={json.dumps(given)}, or write" if settable else "Write"
    return ConfigError(
        f"{origin}: {name} is {json.dumps(given)}, but {option} is {json.dumps(ours)}",
        hint=f'{change} "auto" in the file',
    )


def _mapping(value: Any, name: str, origin: str) -> None:
    if not isinstance(value, dict):
        raise ConfigError(f"{origin}: {name} is not a JSON object", hint=f'"{name}": {{...}}')


def _autos(values: Mapping[str, Any], prefix: str) -> Any:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _autos(value, f"{prefix}{key}.")
        elif value == AUTO:
            yield f"{prefix}{key}"
