"""What a table is made of: a sweep file, read and checked whole before anything runs.

A sweep file names a configuration, what its rows change in it, the seeds, the data and the sets to
measure on. Its section `full` says what is otherwise at the paper's size. docs/evidence.md has an
example with every key.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from pgseg_core.config import Config, Fault, first_fault, load_config
from pgseg_core.data.prepare.synthetic import EVALUATION_FOLDER, SceneOptions
from pgseg_core.data.segmentation import SEGMENTATION_SETS
from pgseg_core.errors import ConfigError, did_you_mean, nearest_name

RETRIEVAL = "retrieval"
SCENES = "scenes"

_STRICT = ConfigDict(extra="forbid")
_OWN_KEYS = ("data.shards", "train.seed")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One set that every run is measured on, as `pgseg eval` takes it."""

    __pydantic_config__ = _STRICT

    dataset: str
    """A segmentation set's name, or `retrieval`."""
    root: str = ""
    """Its folder; empty for the test scenes or the test split of the data trained on."""
    limit: Annotated[int, Field(ge=2)] | None = None
    """Only the first so many images."""
    protocol: str = "groupvit"
    """Of segmentation sets."""
    background: str = "auto"
    """Of segmentation sets: `auto`, `none` or a threshold, in quotes."""
    background_words: str = ""
    """Of segmentation sets: words that answer as background; empty for none."""
    regroup: str = ""
    """Of segmentation sets: a file of other classes, beside the sweep file; empty for the set's."""
    split: str = "test"
    """Of retrieval."""

    @property
    def segments(self) -> bool:
        """Whether masks are measured."""
        return self.dataset != RETRIEVAL


@dataclass(frozen=True, kw_only=True)
class _File:
    """A sweep file's keys."""

    __pydantic_config__ = _STRICT

    title: str
    base: str
    rows: dict[str, dict[str, Any]]
    evaluation: Annotated[tuple[Measurement, ...], Field(min_length=1)]
    note: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0,)
    scenes: dict[str, int] | None = None
    data: str = ""
    reference: str = ""


_ADAPTER = TypeAdapter(_File)


@dataclass(frozen=True)
class Cell:
    """One run of the table."""

    row: str
    seed: int
    config: Config

    @property
    def name(self) -> str:
        """What `--only` calls it."""
        return f"{self.row}:{self.seed}"

    @property
    def place(self) -> Path:
        """Its folder within the sweep's."""
        return Path("cells") / _slug(self.row) / f"seed-{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A table to be made, checked."""

    title: str
    note: str
    path: Path
    """The sweep file."""
    full: bool
    """Whether its section `full` was taken."""
    base: str
    """A preset, or a configuration file; the file's own folder is looked in first."""
    settings: Mapping[str, Any]
    """What all rows change in the base."""
    rows: Mapping[str, Mapping[str, Any]]
    """What each row changes, by its name, in the table's order."""
    reference: str
    """The row that the others are compared with."""
    seeds: tuple[int, ...]
    scenes: SceneOptions | None
    """Scenes to draw into `data` first; None where it holds prepared data."""
    data: Path
    """Shards to train on."""
    measurements: tuple[Measurement, ...]
    """With their roots filled in."""
    cells: tuple[Cell, ...]
    """Rows by seeds, seeds outermost: a table that is stopped early has every row."""

    def chosen(self, only: Sequence[str]) -> tuple[Cell, ...]:
        """Return the cells that are meant by `ROW` or `ROW:SEED`; all of them for none named.

        Raises:
            ConfigError: There is no such cell.
        """
        if not only:
            return self.cells
        for name in only:
            if not any(name in (cell.row, cell.name) for cell in self.cells):
                names = [*self.rows, *(cell.name for cell in self.cells)]
                nearest = nearest_name(name, names)
                raise ConfigError(
                    f"--only {name}: {self.path} has no such row or cell",
                    hint=(f"Did you mean '{nearest}'? " if nearest else "")
                    + f"Rows: {', '.join(self.rows)}; one seed of a row: ROW:SEED",
                )
        return tuple(cell for cell in self.cells if {cell.row, cell.name} & set(only))


def load_plan(
    path: Path,
    out: Path,
    *,
    full: bool = False,
    data: Path | None = None,
    roots: Mapping[str, Path] | None = None,
) -> Plan:
    """Read a sweep file and check all of it: keys, options, values, names of rows and sets.

    Args:
        path: The sweep file.
        out: The sweep's folder; scenes that the file asks for go into it.
        full: Take the section `full` over the rest of the file.
        data: Prepared data to use instead of the file's.
        roots: Folders of evaluation sets by their name, instead of the file's.

    Raises:
        ConfigError: Something is wrong; the sentence names the file and the key.
    """
    file = _read(path, full=full)
    if not file.rows:
        raise ConfigError(f"{path}: rows is empty", hint="Give one row at least: NAME: {}")
    reference = file.reference or next(iter(file.rows))
    if reference not in file.rows:
        raise ConfigError(
            f"{path}: reference '{reference}' is no row", hint=f"Rows: {', '.join(file.rows)}"
        )
    _refuse_clashes(path, list(file.rows), file.seeds)
    if data is None and not file.data and file.scenes is None:
        raise ConfigError(
            f"{path} names no data", hint="Give some: --data DIR, or in the file data: or scenes:"
        )
    draws_scenes = data is None and not file.data
    shards = data or (Path(file.data) if file.data else out / SCENES)
    cells = [
        Cell(row, seed, _config(path, file, row, seed, shards))
        for seed in file.seeds
        for row in file.rows
    ]
    return Plan(
        title=file.title,
        note=" ".join(file.note.split()),
        path=path,
        full=full,
        base=file.base,
        settings=file.settings,
        rows=file.rows,
        reference=reference,
        seeds=file.seeds,
        scenes=_scenes(path, file.scenes or {}) if draws_scenes else None,
        data=shards,
        measurements=_measurements(path, file.evaluation, shards, roots or {}),
        cells=tuple(cells),
    )


def _read(path: Path, *, full: bool) -> _File:
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: the sweep file cannot be read ({error.strerror})",
            hint="The project's own are in examples/ablations/",
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} does not hold a mapping", hint="It needs title, base, rows, ...")
    larger = values.pop("full", None)
    if full:
        if not isinstance(larger, dict):
            raise ConfigError(f"{path} has no section full", hint="Leave --full out.")
        values |= larger
    try:
        return _ADAPTER.validate_python(values)
    except ValidationError as error:
        raise _told(path, first_fault(error)) from None


def _told(path: Path, fault: Fault) -> ConfigError:
    known = [*(f.name for f in fields(_File)), *(f.name for f in fields(Measurement)), "full"]
    if fault.unknown:
        return ConfigError(
            f"{path}: unknown key '{fault.key}'",
            hint=did_you_mean(fault.key.rpartition(".")[2], known, what="Known"),
        )
    return ConfigError(fault.told(path))


def _config(path: Path, file: _File, row: str, seed: int, shards: Path) -> Config:
    """Put one run's configuration together: base, settings, row, data and seed."""
    changes = {**file.settings, **file.rows[row]}
    for key in changes:
        if key in _OWN_KEYS:
            raise ConfigError(
                f"{path}, row '{row}': {key} is the sweep's own",
                hint="Use the file's seeds:, data: or scenes: instead.",
            )
    assignments = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    own = [f"data.shards={json.dumps(str(shards))}", f"train.seed={seed}"]
    beside = path.parent / file.base
    try:
        return load_config(beside if beside.is_file() else file.base, [*assignments, *own])
    except ConfigError as error:
        raise ConfigError(f"{path}, row '{row}': {error.message}", hint=error.hint) from None


def _scenes(path: Path, given: Mapping[str, int]) -> SceneOptions:
    known = {f.name for f in fields(SceneOptions)} - {"processes"}
    for name in given:
        if name not in known:
            raise ConfigError(
                f"{path}: scenes: unknown option '{name}'",
                hint=f"Known: {', '.join(sorted(known))}",
            )
    return SceneOptions(**given)


def _measurements(
    path: Path, given: Sequence[Measurement], shards: Path, roots: Mapping[str, Path]
) -> tuple[Measurement, ...]:
    names = [measurement.dataset for measurement in given]
    for name in (*names, *roots):
        if name not in (*SEGMENTATION_SETS, RETRIEVAL):
            raise ConfigError(
                f"{path}: no evaluation set called '{name}'",
                hint=f"Known: {', '.join(SEGMENTATION_SETS)}, {RETRIEVAL}",
            )
    strangers = [name for name in roots if name not in names]
    twice = [name for name in names if names.count(name) > 1]
    if strangers or twice:
        fault = f"is not measured on {strangers[0]}" if strangers else f"names {twice[0]} twice"
        raise ConfigError(f"{path} {fault}", hint=f"Its sets: {', '.join(dict.fromkeys(names))}")
    filled = []
    for measurement in given:
        own = {SCENES: str(shards / EVALUATION_FOLDER), RETRIEVAL: str(shards)}
        root = str(roots.get(measurement.dataset, "")) or measurement.root
        root = root or own.get(measurement.dataset, "")
        if not root:
            raise ConfigError(
                f"{path}: where is {measurement.dataset}?",
                hint=f"Name its folder: --data-root {measurement.dataset}=DIR",
            )
        beside = path.parent / measurement.regroup
        regroup = str(beside) if beside.is_file() else measurement.regroup
        filled.append(replace(measurement, root=root, regroup=regroup))
    return tuple(filled)


def _refuse_clashes(path: Path, rows: Sequence[str], seeds: Sequence[int]) -> None:
    """Refuse names of rows that would share a folder, and seeds named twice."""
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"{path}: seeds {list(seeds)} name one twice", hint="Keep one of them.")
    places: dict[str, str] = {}
    for row in rows:
        slug = _slug(row)
        if not slug or slug in places:
            other = f"'{places[slug]}'" if slug else "nothing but punctuation"
            raise ConfigError(
                f"{path}: row '{row}' would share its folder with {other}",
                hint="Give rows names that differ in letters or digits.",
            )
        places[slug] = row


def _slug(row: str) -> str:
    """Turn a row's name into a folder's: letters, digits and points, hyphens between."""
    return re.sub(r"[^\w.]+", "-", row.casefold()).strip("-.")
