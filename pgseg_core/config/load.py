"""From a preset's name or a YAML file, plus `--set a.b=c`, to a checked `Config`."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from pgseg_core.config.schema import Config
from pgseg_core.errors import ConfigError, did_you_mean, nearest_name

_ADAPTER = TypeAdapter(Config)
_PRESETS = resources.files("pgseg_core.config") / "presets"
_ALL_OPTIONS = "schema.py and network.py in pgseg_core/config explain every option."


@dataclass(frozen=True)
class Fault:
    """What is wrong with a checked mapping."""

    key: str
    """Where, with points between the levels."""
    unknown: bool
    """Whether there is no such key."""
    sentence: str
    """What is wrong with its value."""

    def told(self, origin: str | Path) -> str:
        """Say where and what; of options that contradict each other there is no one key."""
        return (
            f"{origin}: {self.key}: {self.sentence}" if self.key else f"{origin}: {self.sentence}"
        )


def preset_names() -> list[str]:
    """Return the names of the presets that come with pgseg, sorted."""
    folder = resources.files("pgseg_core.config") / "presets"
    return sorted(
        Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )


def load_config(source: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read a configuration.

    Args:
        source: A preset's name, or the path of a YAML file. A file may name a preset, or a file
            beside it, as `base` and then says only what differs.
        overrides: Assignments `section.key=value`, values in YAML, applied last.

    Raises:
        ConfigError: The preset or file does not exist, or a key or value is wrong.
    """
    values = _read(source)
    for assignment in overrides:
        _assign(values, assignment)
    return parse_config(values, origin=str(source))


def parse_config(values: Mapping[str, Any], *, origin: str) -> Config:
    """Check plain nested values against the schema.

    Args:
        values: Nested mappings as YAML or JSON gives them.
        origin: What to call their source in an error.

    Raises:
        ConfigError: A key is unknown or a value is out of range; the sentence names it.
    """
    try:
        return _ADAPTER.validate_python(dict(values))
    except ValidationError as error:
        raise _explain(error, origin) from None


def config_values(config: Config) -> dict[str, Any]:
    """Return the configuration as plain nested values, ready for JSON or YAML."""
    values: dict[str, Any] = _ADAPTER.dump_python(config, mode="json")
    return values


def _read(source: str | Path) -> dict[str, Any]:
    name = str(source)
    presets = preset_names()
    if name in presets:
        text = (resources.files("pgseg_core.config") / "presets" / f"{name}.yaml").read_text(
            "utf-8"
        )
    elif (path := Path(source)).is_file():
        text = path.read_text("utf-8")
    else:
        raise ConfigError(
            f"'{name}' is neither a preset nor a configuration file",
            hint=did_you_mean(name, presets, what="Presets"),
        )
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"{name} does not hold a mapping of sections (model, data, train, inference)"
        )
    base = values.pop("base", None)
    if base is None:
        return values
    beside = Path(name).parent / str(base)  # a file's base lies beside it, wherever one stands
    return _merge(_read(beside if beside.is_file() else base), values)


def _merge(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = (
            _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return merged


def _assign(values: dict[str, Any], assignment: str) -> None:
    key, equals, text = assignment.partition("=")
    if not equals or not key:
        raise ConfigError(
            f"--set {assignment}: not of the form section.key=value",
            hint="For example: --set train.lr=1e-3",
        )
    *sections, last = key.split(".")
    for section in sections:
        below = values.setdefault(section, {})
        if not isinstance(below, dict):
            raise ConfigError(f"--set {assignment}: '{section}' is a value, not a section")
        values = below
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {assignment}: '{text}' is not a YAML value") from None


def first_fault(error: ValidationError) -> Fault:
    """Return pydantic's first complaint in our words."""
    detail = error.errors(include_url=False)[0]
    sentence = detail["msg"].removeprefix("Value error, ")
    given = detail.get("input")
    shown = "" if isinstance(given, dict) else f" (given: {given!r})"
    return Fault(
        key=".".join(str(part) for part in detail["loc"]),
        unknown=detail["type"] in ("unexpected_keyword_argument", "extra_forbidden"),
        sentence=f"{sentence[:1].lower()}{sentence[1:]}{shown}",
    )


def _explain(error: ValidationError, origin: str) -> ConfigError:
    """Turn pydantic's first complaint into one sentence that names the key."""
    fault = first_fault(error)
    if fault.unknown:
        nearest = nearest_name(fault.key, _known_keys(), likeness=0.5)
        return ConfigError(
            f"{origin}: unknown option '{fault.key}'",
            hint=f"Did you mean {nearest}?" if nearest else _ALL_OPTIONS,
        )
    return ConfigError(
        fault.told(origin),
        hint=f"Give another value there. {_ALL_OPTIONS}",
    )


def _known_keys() -> list[str]:
    def walk(values: Mapping[str, Any], prefix: str) -> Iterable[str]:
        for key, value in values.items():
            if isinstance(value, dict):
                yield from walk(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}"

    return list(walk(asdict(Config()), ""))
