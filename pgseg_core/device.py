"""Which device to compute on."""

import torch

from pgseg_core.errors import BackendError


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
    if not present[name]:
        raise BackendError(
            f"no {name} device on this machine",
            hint=f"Here: {', '.join(kind for kind, there in present.items() if there)}",
        )
    return torch.device(name)
