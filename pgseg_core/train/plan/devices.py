"""What a device and its neighbourhood can do: a few published numbers, or a measurement here."""

import os
import time
from dataclasses import dataclass

import torch

from pgseg_core.errors import ConfigError, did_you_mean
from pgseg_core.train.meter import total_memory

_GB = 1e9


@dataclass(frozen=True, kw_only=True)
class DeviceKind:
    """One kind of device, in the machines it usually comes in."""

    name: str
    flops: float
    """Multiplications and additions per second of its matrix units in half precision, published;
    or what a large product reaches here."""
    utilisation: float
    """Share of it that a training step of these small transformers reaches."""
    memory: float
    """Bytes."""
    per_node: int
    """Devices in a machine."""
    inside: float
    """Bytes per second that a device sends to the others in its machine."""
    outside: float
    """Bytes per second and device to other machines."""
    latency: float
    """Seconds of a collective operation that carries next to nothing, per doubling of ranks."""
    cores: int
    """Processor cores per device, for reading and decoding."""


_A100 = DeviceKind(
    name="a100", flops=312e12, utilisation=0.35, memory=80 * _GB, per_node=8, inside=300 * _GB,
    outside=25 * _GB, latency=1e-5, cores=16,
)  # fmt: skip
KINDS = {
    "a100": _A100,
    "h100": DeviceKind(
        name="h100", flops=989e12, utilisation=0.3, memory=80 * _GB, per_node=8, inside=450 * _GB,
        outside=50 * _GB, latency=1e-5, cores=16,
    ),
    "v100": DeviceKind(
        name="v100", flops=125e12, utilisation=0.35, memory=32 * _GB, per_node=8,
        inside=150 * _GB, outside=12 * _GB, latency=1e-5, cores=6,
    ),
}  # fmt: skip
"""Peaks and links from the makers' data sheets (dense bf16, fp16 for v100); the shares are guesses
for blocks of width 384 until they are measured on such a device."""

_SIDE, _SECONDS, _AT_ONCE = 1024, 0.3, 4
_CPU_UTILISATION = 0.6
_CPU_LINK = 1.0 * _GB


def find_kind(name: str | None, device: torch.device, half: bool) -> DeviceKind:
    """Return a named kind; without a name what this device is, or measures to be.

    Raises:
        ConfigError: No such kind.
    """
    if name is None and device.type == "cuda":
        found = torch.cuda.get_device_name(device).lower()
        name = next((kind for kind in KINDS if kind in found), None)
    if name is None:
        return measure_here(device, half)
    if name not in KINDS:
        raise ConfigError(f"--device-kind {name}", hint=did_you_mean(name, KINDS))
    return KINDS[name]


def measure_here(device: torch.device, half: bool) -> DeviceKind:
    """Time a large product on this device, and take it for what it is."""
    on_cpu = device.type == "cpu"
    # A processor's own time, summed over its threads, does not see what else the machine does.
    clock, threads = (time.process_time, torch.get_num_threads()) if on_cpu else (time.time, 1)
    dtype = torch.bfloat16 if half else torch.float32
    left = torch.randn(_SIDE, _SIDE, device=device).to(dtype)
    float((left @ left)[0, 0])  # the first product is slower
    count, spent, start = 0, 0.0, clock()
    while spent < _SECONDS:
        product = left @ left
        count += 1
        if count % _AT_ONCE == 0:
            float(product[0, 0])  # waits for the device
            spent = clock() - start
    return DeviceKind(
        name=f"this {device.type}",
        flops=count * 2 * _SIDE**3 / spent * threads,
        utilisation=_CPU_UTILISATION if on_cpu else _A100.utilisation,
        memory=float(total_memory(device)),
        per_node=max(1, (os.cpu_count() or 1) if on_cpu else torch.cuda.device_count()),
        inside=_CPU_LINK if on_cpu else _A100.inside,
        outside=_CPU_LINK / 8 if on_cpu else _A100.outside,
        latency=2e-4 if on_cpu else _A100.latency,
        cores=1 if on_cpu else _A100.cores,
    )
