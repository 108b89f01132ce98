"""A run folder, or a single evaluation, as one record. Every part is optional and checked when it is read."""

import shlex
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from elite.config import DataConfig, ImageConfig, StudentConfig, TeacherConfig, from_plain
from elite.errors import ConfigError, DataError
from elite.report.curves import Curves, read_curves
from elite.report.evaluation import Evaluation
from elite.report.measurements import Latency, PseudoLabelScores
from elite.report.result_files import damaged, read_json, read_record, read_utf8
from elite.taxonomy import Taxonomy, load_taxonomy

Config = TypeVar("Config")

_SETTINGS = ("data", "student", "image", "teacher")
_PARTS = ("config.yaml", "versions.json", "metrics.csv", "evaluation.json")


@dataclass(frozen=True)
class Run:
    """Contents of a run folder.

    Attributes:
        config: text of config.yaml.
        teacher: foundation model weights, ``random`` if they were not loaded; empty for a run without a teacher.
        parameters: number of weights by part of the training.
        before, after: scores of the untrained and the trained network.
        is_evaluation: a single evaluation that belongs to no run.
        evaluate_command: command that writes the scores of the trained network.
    """

    name: str
    config: str = ""
    teacher: str = ""
    student: StudentConfig = field(default_factory=StudentConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    data: DataConfig = field(default_factory=DataConfig)
    versions: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    curves: Curves = field(default_factory=Curves)
    before: Evaluation | None = None
    after: Evaluation | None = None
    pseudo_labels: PseudoLabelScores | None = None
    latency: Latency | None = None
    is_evaluation: bool = False
    evaluate_command: str = ""

    @property
    def taxonomy(self) -> Taxonomy:
        """Classes of the evaluation; SemanticKITTI's without one."""
        return load_taxonomy("semantickitti") if self.after is None else self.after.taxonomy


def read_run(folder: Path) -> Run:
    """Read everything in a run folder that a report contains.

    Raises:
        DataError: not a run folder, or one of its files is damaged.
    """
    if not any((folder / name).is_file() for name in _PARTS):
        found = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) if folder.is_dir() else "no such folder"
        raise DataError(
            f"{folder}: expected a run folder with at least one of {', '.join(_PARTS)}, found "
            f"{found or 'an empty folder'}. Give the folder that 'elite train' wrote to."
        )
    config = read_utf8(folder / "config.yaml")
    settings = _Settings(config, folder / "config.yaml")
    weights = settings.read(TeacherConfig, "teacher", "weights").weights
    data = settings.read(DataConfig, "data", "root", "format", "sensor", "val_sequences", "val_frames", "cameras")
    return Run(
        name=folder.resolve().name,
        config=config,
        teacher="" if weights in (None, "none") else weights,
        student=settings.read(StudentConfig, "student", "volume"),
        image=settings.read(ImageConfig, "image", *(f.name for f in fields(ImageConfig))),
        data=data,
        versions=read_json(folder / "versions.json"),
        parameters=_read_parameters(folder / "parameters.json"),
        curves=read_curves(folder / "metrics.csv"),
        before=read_record(Evaluation, folder / "evaluation_before.json"),
        after=read_record(Evaluation, folder / "evaluation.json"),
        pseudo_labels=read_record(PseudoLabelScores, folder / "pseudo_label_score.json"),
        latency=read_record(Latency, folder / "latency.json"),
        evaluate_command=_evaluate_command(folder, data),
    )


def _evaluate_command(folder: Path, data: DataConfig) -> str:
    """Command with the best checkpoint (or the last one: validation may be off), and the data of the validation."""
    best, last = (folder / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    words = ["elite", "evaluate", str(best if best.exists() else last), str(data.root or "DATA")]
    split = "" if data.val_sequences in (DataConfig.val_sequences, "none") else data.val_sequences
    options = {"format": data.format, "sensor": data.sensor, "split": split, "frames": data.val_frames}
    given = [word for name, value in options.items() if value for word in (f"--{name}", value)]
    return shlex.join([*words, *given, "--json", str(folder / "evaluation.json")])


def read_evaluation(file: Path) -> Run:
    """Read a result of ``elite evaluate --json`` as a run that contains nothing else.

    Raises:
        DataError: the file is missing or damaged.
    """
    found = read_record(Evaluation, file)
    if found is None:
        raise DataError(f"{file} is missing or empty. Give a file that 'elite evaluate --json FILE' wrote.")
    return Run(name=file.stem, versions=found.versions, after=found, is_evaluation=True)


class _Settings:
    """A resolved configuration file, of which a report needs a few settings."""

    def __init__(self, text: str, path: Path) -> None:
        self.path = path
        try:
            values = yaml.safe_load(text) or {}
        except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2024-13-01
            raise damaged(path, f"expected YAML, found {' '.join(str(error).split())}") from error
        if not isinstance(values, dict) or not all(isinstance(values.get(k) or {}, dict) for k in _SETTINGS):
            expected = f"expected settings with the groups {', '.join(_SETTINGS)}"
            raise damaged(path, f"{expected}, found {type(values).__name__}")
        self.values: dict[str, Any] = values

    def read(self, cls: type[Config], group: str, *names: str) -> Config:
        """Some settings of one group; missing ones have their default."""
        given = self.values.get(group) or {}
        try:
            return from_plain(cls, {name: given[name] for name in names if name in given}, f"{group}.")
        except ConfigError as error:
            raise damaged(self.path, str(error).partition(". ")[0]) from error


def _read_parameters(path: Path) -> dict[str, int]:
    """Number of weights by part of the training, empty without such a file."""
    values = read_json(path)
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise damaged(path, f"expected a count under '{name}', found {str(value)[:60]}")
    return values
