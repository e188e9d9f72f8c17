"""What this machine can do for training, found out rather than asked for."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from pgseg_backends.deepspeed_import import importing_deepspeed
from pgseg_backends.registry import installed_backends
from pgseg_core.device import find_device, find_precision
from pgseg_core.train.meter import total_memory
from pgseg_core.version import VERSION

_GIB = 2**30
_LITTLE_DISK, _LITTLE_SHARED = 10 * _GIB, 2 * _GIB
_OPTIONAL = {
    "deepspeed": "ZeRO, offload, several machines",
    "wandb": "train.trackers=[wandb]",
    "trackio": "train.trackers=[trackio]",
}
_OPS = ("fused_adam", "cpu_adam", "async_io", "transformer_inference")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What.
        value: What was found.
        advice: What to do about it; empty where all is well.
    """

    name: str
    value: str
    advice: str = ""


def examine(folder: Path) -> list[Finding]:
    """Look at this machine.

    Args:
        folder: Where runs would be written.
    """
    return [
        Finding("pgseg", VERSION),
        Finding("python", f"{platform.python_version()}, {sys.executable}"),
        Finding("torch", torch.__version__),
        *_devices(),
        *_communication(),
        *_optional(),
        *_room(folder),
        Finding("backends", ", ".join(installed_backends())),
    ]


def _devices() -> list[Finding]:
    cores = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"
    found = [Finding("processor", f"{platform.processor() or platform.machine()}, {cores}")]
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(number)
            name = torch.cuda.get_device_name(number)
            memory = f"{free / _GIB:.0f} of {total / _GIB:.0f} GiB free"
            busy = "Another process uses it: nvidia-smi" if free < 0.8 * total else ""
            found.append(Finding(f"cuda:{number}", f"{name}, {memory}", busy))
        found.append(Finding("CUDA", str(torch.version.cuda)))
    elif torch.version.cuda is None:
        advice = "For a GPU: a torch built for CUDA, see pytorch.org/get-started"
        gpu = shutil.which("nvidia-smi") is not None
        found.append(Finding("CUDA", "this torch has none", advice if gpu else ""))
    else:
        seen = "no device is seen"
        advice = "Check the driver: nvidia-smi" if shutil.which("nvidia-smi") else ""
        found.append(Finding("CUDA", f"torch is built for {torch.version.cuda}, {seen}", advice))
    device = find_device("auto")
    precision = find_precision("auto", device)
    return [*found, Finding("trains on", f"{device.type}, in {precision}")]


def _communication() -> list[Finding]:
    if not dist.is_available():
        return [Finding("torch.distributed", "missing", "Install a torch that has it")]
    found = [Finding("gloo", "yes" if dist.is_gloo_available() else "no")]
    if torch.cuda.is_available():
        nccl = dist.is_nccl_available()
        version = ".".join(map(str, torch.cuda.nccl.version())) if nccl else "no"
        found.append(Finding("NCCL", version, "" if nccl else "Install a torch with NCCL"))
    ssh = shutil.which("ssh")
    found.append(Finding("ssh", ssh or "no", "" if ssh else "Needed by --hostfile alone"))
    return found


def _optional() -> list[Finding]:
    found = []
    for name, use in _OPTIONAL.items():
        if importlib.util.find_spec(name) is None:
            found.append(Finding(name, f"not installed ({use})", f"pip install 'pgseg[{name}]'"))
        else:
            found.append(Finding(name, importlib.metadata.version(name)))
    if importlib.util.find_spec("deepspeed") is not None:
        found.append(_deepspeed_ops())
    return found


def _deepspeed_ops() -> Finding:
    """Say which of DeepSpeed's compiled operations could be built here; pgseg needs none."""
    with importing_deepspeed():
        from deepspeed.ops.op_builder.all_ops import ALL_OPS  # noqa: PLC0415 - optional, slow to import

    can = [name for name in _OPS if name in ALL_OPS and ALL_OPS[name].is_compatible(verbose=False)]
    value = ", ".join(can) if can else "none can be built here (pgseg needs none)"
    compilers = ("c++", "ninja")
    lacking = [tool for tool in compilers if shutil.which(tool) is None]
    advice = f"To build them: install {', '.join(lacking)}" if lacking else ""
    return Finding("deepspeed ops", value, advice)


def _room(folder: Path) -> list[Finding]:
    memory = total_memory(torch.device("cpu"))
    disk = shutil.disk_usage(folder)
    found = [
        Finding("memory", f"{memory / _GIB:.0f} GiB"),
        Finding(
            "disk here",
            f"{disk.free / _GIB:.0f} of {disk.total / _GIB:.0f} GiB free in {folder.resolve()}",
            "Little room for shards and checkpoints" if disk.free < _LITTLE_DISK else "",
        ),
    ]
    shared = Path("/dev/shm")
    if shared.is_dir():
        free = shutil.disk_usage(shared).free
        advice = "Reading processes need it: --set data.workers=0, or docker run --shm-size 8g"
        found.append(
            Finding(
                "shared memory",
                f"{free / _GIB:.1f} GiB free",
                advice if free < _LITTLE_SHARED else "",
            )
        )
    return found
