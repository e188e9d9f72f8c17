"""Finds backends by name. Listing them imports none of them."""

from importlib.metadata import EntryPoint, entry_points

from pgseg_core.config import TrainConfig
from pgseg_core.errors import BackendError
from pgseg_core.train.protocols import Backend, Checks

GROUP = "pgseg.backends"


def installed_backends() -> dict[str, EntryPoint]:
    """Return the installed backends by name, unloaded."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda p: p.name)}


def load_backend(name: str) -> Backend:
    """Import a backend.

    Raises:
        BackendError: No backend has this name, or what it needs is not installed.
    """
    found = installed_backends()
    if name not in found:
        raise BackendError(
            f"train.backend: no backend called '{name}'", hint=f"Installed: {', '.join(found)}"
        )
    try:
        backend: Backend = found[name].load()()
    except ImportError as error:
        raise BackendError(
            f"train.backend: '{name}' cannot start ({error})", hint=f"pip install 'pgseg[{name}]'"
        ) from None
    return backend


def check_settings(config: TrainConfig, world_size: int) -> None:
    """Let the backend look for contradictions before anything starts.

    A backend that has `Checks` is asked; the others are imported.

    Raises:
        PgsegError: The settings contradict each other, or the backend cannot start.
    """
    backend = load_backend(config.backend)
    if isinstance(backend, Checks):
        backend.check(config, world_size)
