"""A run folder, read: everything a report can show, each part checked, each part optional."""

import csv
import math
import re
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml
from jaxtyping import Float

from elite.config import DataConfig, ImageConfig, StudentConfig, TeacherConfig, from_plain
from elite.errors import ConfigError, DataError
from elite.files import TEXT_BYTES, parse_json, read_file
from elite.geometry import Volume
from elite.report.measured import Latency, PseudoScore, parse_latency, parse_pseudo_scores
from elite.report.scores import Evaluation, damaged, parse_evaluation

Config = TypeVar("Config")

_AXES = ("step", "epoch")
_CURVES = (
    "train/loss",
    "train/miou_present",
    "val/miou",
    "val/miou_present",
    "val/teacher_miou",
    "val/teacher_miou_present",
    "scans/s",
)
# The terms of the loss, weighted as they are logged, by what they pull on.
_TERMS = {
    "student": r"train/(cross_entropy|lovasz)",
    "student heads": r"train/student\d+/.+",
    "teacher heads": r"train/teacher\d*/.+",
    "divergence": r"train/kl\d+",
    "orthogonality": r"train/orthogonality",
}
_SETTINGS = ("data", "student", "image", "teacher")
_PARTS = ("config.yaml", "versions.json", "metrics.csv", "evaluation.json")
_PSEUDO, _LATENCY = "pseudo_label_score.json", "latency.json"


@dataclass(frozen=True)
class Curve:
    """One column of metrics.csv: finite values ``y`` against ``x``; ``dropped`` counts the NaN and infinite ones."""

    x: Float[np.ndarray, "n"]
    y: Float[np.ndarray, "n"]
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Run:
    """``curves`` by column name, against the training step or, if there is no such column, the ``axis`` that is.

    ``terms`` are sums of columns, the parts of the loss: student, student heads, teacher heads, divergence,
    orthogonality. ``parameters`` counts the weights of each part of the training. ``pseudo_labels`` and ``latency``
    are what other commands measured beside it. ``alone`` = an evaluation that belongs to no run.
    """

    name: str
    config: str
    weights: str | None
    volume: Volume
    image: ImageConfig
    data: DataConfig
    versions: dict[str, Any]
    parameters: dict[str, int]
    axis: str
    curves: dict[str, Curve]
    terms: dict[str, Curve]
    before: Evaluation | None
    after: Evaluation | None
    pseudo_labels: tuple[PseudoScore, ...] = ()
    latency: Latency | None = None
    alone: bool = False

    @property
    def teacher(self) -> str:
        """The foundation model's weights, ``random`` for none from a file; empty if the run has no teacher."""
        return "" if self.weights in (None, "none") else self.weights

    def at_best(self, name: str) -> float | None:
        """A curve's value where the student's mean IoU over all classes was first best; None if there is none."""
        best, curve = self.curves.get("val/miou"), self.curves.get(name)
        if best is None or curve is None or not len(best):
            return None
        found = curve.y[curve.x == best.x[best.y.argmax()]]
        return float(found[0]) if len(found) else None


def read_run(folder: Path) -> Run:
    """Everything in a run folder that a report shows.

    Raises:
        DataError: the folder is no run, or one of its files is damaged.
    """
    if not any((folder / name).is_file() for name in _PARTS):
        found = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) if folder.is_dir() else "no such folder"
        raise DataError(
            f"{folder} is no run: expected at least one of {', '.join(_PARTS)}, found {found or 'an empty folder'}; "
            "give the folder that 'elite train' wrote to (its setting 'out')."
        )
    config = _text(folder / "config.yaml")
    settings = _settings(config, folder / "config.yaml")
    part = partial(_part, settings, folder / "config.yaml")
    axis, curves, terms = _read_curves(folder / "metrics.csv")
    return Run(
        name=folder.resolve().name,
        config=config,
        weights=part(TeacherConfig, "teacher", "weights").weights,
        volume=part(StudentConfig, "student", "volume").volume,
        image=part(ImageConfig, "image", *(f.name for f in fields(ImageConfig))),
        data=part(DataConfig, "data", "root", "val_sequences", "val_frames", "cameras"),
        versions=_read_json(folder / "versions.json"),
        parameters=_read_parameters(folder / "parameters.json"),
        axis=axis,
        curves=curves,
        terms=terms,
        before=_read_evaluation(folder / "evaluation_before.json"),
        after=_read_evaluation(folder / "evaluation.json"),
        pseudo_labels=parse_pseudo_scores(_read_json(folder / _PSEUDO), folder / _PSEUDO),
        latency=parse_latency(_read_json(folder / _LATENCY), folder / _LATENCY),
    )


def read_evaluation(file: Path) -> Run:
    """A result of ``elite evaluate --json`` as a run that has nothing else.

    Raises:
        DataError: the file is missing or damaged.
    """
    found = _read_evaluation(file)
    if found is None:
        raise DataError(f"{file} is missing or empty; give the file that 'elite evaluate --json FILE' wrote.")
    return Run(
        name=file.stem,
        config="",
        weights=None,
        volume=StudentConfig().volume,
        image=ImageConfig(),
        data=DataConfig(),
        versions=found.versions,
        parameters={},
        axis=_AXES[0],
        curves={},
        terms={},
        before=None,
        after=found,
        alone=True,
    )


def _text(path: Path) -> str:
    """The file's text, empty if there is no such file."""
    try:
        return read_file(path, TEXT_BYTES).decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, "text in UTF-8", error) from error


def _settings(config: str, path: Path) -> dict[str, Any]:
    """A resolved configuration as dictionaries."""
    try:
        values = yaml.safe_load(config) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: of a date such as 2024-13-01
        raise damaged(path, "YAML", " ".join(str(error).split())) from error
    if not isinstance(values, dict) or not all(isinstance(values.get(k) or {}, dict) for k in _SETTINGS):
        raise damaged(path, f"settings with the parts {', '.join(_SETTINGS)}", type(values).__name__)
    return values


def _part(settings: dict[str, Any], path: Path, cls: type[Config], name: str, *wanted: str) -> Config:
    """Some settings of one part; the default where one is not given."""
    given = settings.get(name) or {}
    try:
        return from_plain(cls, {key: given[key] for key in wanted if key in given})
    except ConfigError as error:
        names = ", ".join(f"{name}.{key}" for key in wanted)
        raise damaged(path, f"usable settings {names}", error) from error


def _read_parameters(path: Path) -> dict[str, int]:
    """Counts by part of the training, empty if there is no such file."""
    values = _read_json(path)
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise damaged(path, f"a count under '{name}'", repr(value))
    return values


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty if there is no such file."""
    if not path.exists():
        return {}
    try:
        values = parse_json(_text(path))
    except ValueError as error:
        raise damaged(path, "JSON", error) from error
    if not isinstance(values, dict):
        raise damaged(path, "a JSON object", values)
    return values


def _read_curves(path: Path) -> tuple[str, dict[str, Curve], dict[str, Curve]]:
    """(name of the x axis, curves, sums of terms) of Lightning's sparse metrics.csv.

    A curve has at least one logged value, finite or not.
    """
    if not path.exists():
        return _AXES[0], {}, {}
    rows = _read_rows(path)
    header = rows[0]
    if not set(header) & {*_AXES, *_CURVES}:
        raise damaged(path, f"a header with columns such as step and {_CURVES[0]}", ",".join(header))
    parts = {term: [name for name in header if re.fullmatch(pattern, name)] for term, pattern in _TERMS.items()}
    known = {*_AXES, *_CURVES}.union(*parts.values())
    columns = {name: _column(path, header, rows, name) for name in header if name in known}
    axis = next((name for name in _AXES if name in columns), "row")
    x = columns.get(axis, np.arange(len(rows) - 1, dtype=np.float64))
    curves = {name: _curve(x, columns[name]) for name in _CURVES if name in columns}
    # A row that lacks a part, as one of a batch without images, has no sum.
    terms = {term: _curve(x, np.sum([columns[name] for name in part], axis=0)) for term, part in parts.items() if part}
    return axis, _logged(curves), _logged(terms)


def _logged(curves: dict[str, Curve]) -> dict[str, Curve]:
    return {name: curve for name, curve in curves.items() if len(curve) or curve.dropped}


def _read_rows(path: Path) -> list[list[str]]:
    try:
        rows = list(csv.reader(_text(path).splitlines(), strict=True))
    except csv.Error as error:
        raise damaged(path, "comma-separated values", error) from error
    if not rows:
        raise damaged(path, "a header", "an empty file")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise damaged(path, f"{len(rows[0])} values in line {number}", len(row))
    return rows


def _column(path: Path, header: list[str], rows: list[list[str]], name: str) -> Float[np.ndarray, "rows"]:
    """NaN where the cell is empty, infinity where a logged number was not finite."""
    position = header.index(name)
    values = np.full(len(rows) - 1, np.nan)
    for i, row in enumerate(rows[1:]):
        try:
            value = float(row[position] or "nan")
        except ValueError as error:
            raise damaged(path, f"a number under '{name}' in line {i + 2}", repr(row[position])) from error
        values[i] = np.inf if row[position] and not math.isfinite(value) else value
    return values


def _curve(x: Float[np.ndarray, "rows"], y: Float[np.ndarray, "rows"]) -> Curve:
    shown = np.isfinite(x) & np.isfinite(y)
    return Curve(x[shown], y[shown], int(np.isinf(y).sum()))


def _read_evaluation(path: Path) -> Evaluation | None:
    """None if there is no such file."""
    values = _read_json(path)
    return parse_evaluation(values, path) if values else None
