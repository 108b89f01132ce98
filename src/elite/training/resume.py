"""Resume a run: choose its checkpoint, and compare its settings and its data with those of now."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from elite.config import TrainConfig, plain
from elite.errors import CheckpointError, ConfigError
from elite.sensor import SensorSpec, load_sensor
from elite.student.student_file import Domain, domain_of
from elite.taxonomy import ClassSpec, Taxonomy, load_taxonomy, require_equal_taxonomies
from elite.terminal import say
from elite.version import __version__
from elite.weights.torch_file import load_torch

# Settings that may change when a run resumes. The result does not depend on those of _FREE. A change of those of
# _REPORTED can change the last digits, so it is reported.
_FREE = (
    *("out", "overwrite", "resume", "allow_other_data", "strict", "save_every", "faults.", "teacher.weights"),
    *("data.root", "data.derived", "data.workers", "data.timeout"),
    *("data.taxonomy", "data.sensor"),  # their contents are compared: a file may have moved, or changed
)
_PATHS = ("init", "teacher.model")  # earlier versions stored relative paths
_REPORTED = ("accelerator", "devices", "backend")

DataSummary = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class ResumePoint:
    """A checkpoint of a run.

    Attributes:
        step: optimiser steps before it.
        best: best validation mIoU before it.
        data: the run's data as ``summarise`` returns it; None in checkpoints of older versions.
        domain: classes and sensor of the run; empty in checkpoints of version 0.1.
    """

    path: Path
    step: int
    best: float | None
    data: DataSummary | None
    domain: Domain

    def is_in(self, out: Path) -> bool:
        """Whether this is a checkpoint of the run in ``out``."""
        return self.path.resolve().is_relative_to(out.resolve())


def checkpoint_to_resume(config: TrainConfig) -> ResumePoint | None:
    """Checkpoint that ``config.resume`` names; None = start from the beginning.

    Raises:
        CheckpointError: it is damaged, or not a training checkpoint.
        ConfigError: it was made with other settings. The message names them and the version that wrote the file.
    """
    if config.resume is None:
        return None
    path = _newest(config.out) if config.resume == "last" else Path(config.resume)
    if path is None:
        say(f"{config.out} has no checkpoint yet: the run starts from the beginning")
        return None
    checkpoint = load_torch(path)
    settings, progress, step = (checkpoint.get(key) for key in ("elite_config", "elite_progress", "global_step"))
    if not (isinstance(settings, dict) and isinstance(progress, dict) and isinstance(step, int)):
        raise CheckpointError(
            f"{path}: expected a training checkpoint, found another file. Use --init to start a run from its student."
        )
    version = _version(checkpoint)
    _check_settings(settings, plain(config), path, version)
    if version.partition(" ")[0] != __version__ or "batches" not in progress:
        say(f"{path} was written by an earlier elite ({version}); this is elite {__version__}")
    data, domain = _data(checkpoint.get("elite_data")), domain_of(checkpoint, path, "elite_")
    return ResumePoint(path, step, best_score(checkpoint), data, domain)


def _newest(out: Path) -> Path | None:
    """Newest checkpoint of a run: last.ckpt, or best.ckpt of a run that was killed before its first last.ckpt."""
    found = [out / "checkpoints" / name for name in ("last.ckpt", "best.ckpt")]
    return next((path for path in found if path.exists()), None)


def _version(checkpoint: dict[str, Any]) -> str:
    """Version of elite that wrote the checkpoint, ``unknown`` if it does not contain one."""
    versions = checkpoint.get("elite_versions")
    found = [versions.get(name) for name in ("elite", "commit")] if isinstance(versions, dict) else []
    return " at ".join(part for part in found if isinstance(part, str)) or "unknown"


def best_score(checkpoint: dict[str, Any]) -> float | None:
    """Best score in a checkpoint. Up to version 0.1, Lightning's callback stored it."""
    score = checkpoint.get("elite_best")
    callbacks = checkpoint.get("callbacks")
    if "elite_best" not in checkpoint and isinstance(callbacks, dict):
        states = [state for name, state in callbacks.items() if str(name).startswith("ModelCheckpoint")]
        score = next((s.get("best_model_score") for s in states if isinstance(s, dict)), None)
    try:
        score = None if score is None else float(score)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last: a tensor of several numbers
        return None
    return score if score is not None and math.isfinite(score) else None


def _data(found: Any) -> DataSummary | None:
    """Return the value if it has the form of ``summarise``, otherwise None: a file may contain anything."""
    if not isinstance(found, dict):
        return None
    parts = [(name, part.get("count"), part.get("digest")) for name, part in found.items() if isinstance(part, dict)]
    types = [tuple(map(type, part)) for part in parts]
    return found if len(parts) == len(found) and all(kind == (str, int, str) for kind in types) else None


# ---- settings -----------------------------------------------------------------------------------------------------


def _check_settings(before: Any, now: Any, path: Path, version: str) -> None:
    differences = settings_changed(before, now)
    fatal = [text for name, text in differences.items() if not name.startswith(_REPORTED)]
    if fatal:
        raise ConfigError(
            f"{path}, written by elite {version}: expected the settings of the run, found other ones: "
            f"{'; '.join(fatal)}. Restore them, or start another run from its student with --init {path} and another "
            "--out."
        )
    for text in differences.values():
        say(f"resumed with another setting: {text}")


def settings_changed(before: Any, now: Any) -> dict[str, str]:
    """Describe each setting that differs, except for those that may: 'name: X then, Y now', by name.

    A version that lacked a setting worked as its default does. Without a teacher, cameras are not used.
    """
    old, new = _flat(plain(TrainConfig())) | _flat(before), _flat(now)
    for values in (old, new):
        if values.get("loss.class_weights") == "semantickitti":
            values["loss.class_weights"] = "taxonomy"  # the present name
        values |= {name: str(Path(values[name]).absolute()) for name in _PATHS if isinstance(values.get(name), str)}
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return {
        name: f"{name} {old.get(name, 'unknown')} then, {new.get(name, 'unknown')} now"
        for name in names
        if not name.startswith(_FREE) and not (name == "data.cameras" and new.get("teacher.weights") in (None, "none"))
    }


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, dict):
        return {prefix[:-1]: values}
    return {name: value for key, part in values.items() for name, value in _flat(part, f"{prefix}{key}.").items()}


# ---- data ---------------------------------------------------------------------------------------------------------


def summarise(ids: Mapping[str, Iterable[str]]) -> DataSummary:
    """Count and digest of each named list of ids, for a checkpoint. The order of a list does not matter."""
    lists = {name: sorted(given) for name, given in ids.items()}
    return {
        name: {"count": len(found), "digest": hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]}
        for name, found in lists.items()
    }


def check_data(point: ResumePoint, now: DataSummary, *, allow_other: bool) -> None:
    """Check that a run resumes with its own data. With ``allow_other``, differences are only reported.

    Raises:
        ConfigError: the data differs.
    """
    if point.data is None:
        say(f"{point.path} does not record its data (written by an older version), so the data was not compared")
        return
    differences = [
        f"{name} {_count(point.data.get(name))} then, {_count(now.get(name))} now"
        + (" (same number, other names)" if _count(point.data.get(name)) == _count(now.get(name)) else "")
        for name in sorted({*point.data, *now})
        if point.data.get(name) != now.get(name)
    ]
    if differences and not allow_other:
        raise ConfigError(
            f"{point.path}: expected the data of the run, found other data: {'; '.join(differences)}. Restore the data "
            "or the selection, or give --allow-other-data to resume with the present data."
        )
    if differences:
        say(f"resumed with other data: {'; '.join(differences)}")


def check_domain(point: ResumePoint, taxonomy: Taxonomy, sensor: SensorSpec) -> None:
    """Check that the data still has the classes and the sensor of the run: files that describe them may have changed.

    Checkpoints of version 0.1 contain neither, and mean SemanticKITTI.

    Raises:
        ConfigError: they differ; the message names both.
    """
    classes = point.domain.get("taxonomy") or load_taxonomy("semantickitti")
    before = point.domain.get("sensor") or load_sensor("hdl-64e")
    remedy = f"Restore them, or start another run with --init {point.path} --init-classes match and another --out."
    require_equal_taxonomies(classes, taxonomy, point.path, remedy)
    pairs = zip(classes.classes, taxonomy.classes, strict=True)
    if changed := [new.name for old, new in pairs if _without_colors(old) != _without_colors(new)]:
        raise ConfigError(
            f"{point.path}: expected the classes of the run, found changed properties of {', '.join(changed)} in the "
            f"taxonomy {taxonomy.name}. {remedy}"
        )
    if before != sensor:
        raise ConfigError(f"{point.path}: expected the sensor of the run, {before}, found {sensor}. {remedy}")


def _without_colors(spec: ClassSpec) -> ClassSpec:
    return replace(spec, color=None, safe_color=None)


def _count(part: dict[str, Any] | None) -> Any:
    return "unknown" if part is None else part.get("count", "unknown")
