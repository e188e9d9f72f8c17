"""Which device to compute on, and in which arithmetic."""

import importlib.util
import os
import shutil
from typing import Literal

import torch

from pgseg_core.errors import BackendError, ConfigError

Precision = Literal["fp32", "bf16", "fp16"]
"""What a forward pass is computed in."""


def find_device(name: str) -> torch.device:
    """Return the device that `auto`, `cpu`, `cuda` or `mps` stands for.

    Raises:
        BackendError: It is not on this machine.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, there in present.items() if there))
    if not present.get(name):
        raise BackendError(
            f"no {name} device on this machine",
            hint=f"Here: {', '.join(kind for kind, there in present.items() if there)}",
        )
    return torch.device(name)


def find_precision(name: Precision | Literal["auto"], device: torch.device) -> Precision:
    """Return the precision that `auto` stands for on a device; any other name as it is.

    bf16 where the device multiplies it in hardware. Elsewhere it is emulated, on processors without
    AVX-512 up to 90 times slower than float32.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if device.type == "cpu":
        in_hardware = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
        return "bf16" if in_hardware else "fp32"
    return "fp32"


def check_compiler(device: torch.device) -> None:
    """Refuse `train.compile` where torch.compile would find nothing to compile with.

    Raises:
        ConfigError: Says what is missing.
    """
    if device.type == "cuda":
        missing = "" if importlib.util.find_spec("triton") else "the package triton"
    elif device.type == "cpu":
        names = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]
        missing = "" if any(map(shutil.which, names)) else "a C++ compiler"
    else:
        missing = "a CUDA device or a CPU"
    if missing:
        raise ConfigError(
            f"train.compile: torch.compile needs {missing}", hint="--set train.compile=false"
        )
