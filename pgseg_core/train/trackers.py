"""Where the curves of a run go beside its log: TensorBoard, wandb, trackio.

The last two are optional packages with the same three calls, imported where they are asked for.
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from tensorboard.summary import Writer

from pgseg_core.config import Config, config_values
from pgseg_core.errors import ConfigError

CURVES = "tensorboard"


@runtime_checkable
class Tracker(Protocol):
    """Takes the numbers of a step."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Take them."""
        ...

    def close(self) -> None:
        """Write out what was held back."""
        ...


class TensorBoard:
    """Curves in the run folder.

    Args:
        run: The run folder.
    """

    def __init__(self, run: Path) -> None:
        self._writer = Writer(str(run / CURVES))

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to every curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush."""
        self._writer.close()


class Hosted:
    """wandb, or trackio, which has the same interface and keeps everything on this machine.

    Args:
        package: `wandb` or `trackio`.
        run: The run folder; its name is the run's.
        config: Kept with the curves.

    Raises:
        ConfigError: The package is not installed.
    """

    def __init__(self, package: str, run: Path, config: Config) -> None:
        module = import_tracker(package)
        self._run: Any = module.init(
            project="pgseg", name=run.name, config=config_values(config), resume="allow"
        )
        self._module = module

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Send the numbers."""
        self._module.log(dict(values), step=step)

    def close(self) -> None:
        """End the tracker's run."""
        self._module.finish()


def import_tracker(package: str) -> Any:
    """Import an optional tracker.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise ConfigError(
            f"train.trackers names {package}, which is not installed",
            hint=f"pip install 'pgseg[{package}]', or --set train.trackers=[tensorboard]",
        ) from None


def check_trackers(names: Sequence[str]) -> None:
    """Import what a run will need, before anything starts."""
    for name in names:
        if name != CURVES:
            import_tracker(name)


@contextmanager
def open_trackers(config: Config, run: Path, *, leads: bool) -> Iterator[list[Tracker]]:
    """Open the trackers that the configuration names, and close them at the end.

    Args:
        config: The run's configuration.
        run: The run folder.
        leads: Whether this rank writes; the others have no trackers.
    """
    with ExitStack() as stack:
        trackers: list[Tracker] = []
        for name in config.train.trackers if leads else ():
            tracker = TensorBoard(run) if name == CURVES else Hosted(name, run, config)
            stack.callback(tracker.close)
            trackers.append(tracker)
        yield trackers
