"""Resuming a run: from which checkpoint, and whether its settings and its data are still the same."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elite.config import TrainConfig, plain
from elite.errors import CheckpointError, ConfigError
from elite.terminal import say
from elite.weights.torch_file import load_torch

# Settings that may change between the parts of a run. Its numbers do not depend on the first of these. A change of the
# others is reported, for it can change the last digits.
_FREE = (
    *("out", "overwrite", "resume", "allow_other_data", "strict", "save_every", "faults.", "teacher.weights"),
    *("data.root", "data.derived", "data.workers", "data.timeout"),
)
_REPORTED = ("accelerator", "devices", "backend")

DataSummary = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class ResumePoint:
    """A checkpoint of a run.

    Attributes:
        step: optimiser steps before it.
        best: best validation mIoU before it.
        data: the run's data as ``summarise`` returns it; None in checkpoints of older versions.
    """

    path: Path
    step: int
    best: float | None
    data: DataSummary | None

    def is_in(self, out: Path) -> bool:
        """Whether this is a checkpoint of the run in ``out``."""
        return self.path.resolve().is_relative_to(out.resolve())


def checkpoint_to_resume(config: TrainConfig) -> ResumePoint | None:
    """The checkpoint that ``config.resume`` names; None = start from the beginning.

    Raises:
        CheckpointError: it is damaged, or not a checkpoint of a run.
        ConfigError: it was made with other settings; all of them are named.
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
            f"{path} is not a checkpoint that a run can resume from. Use --init to start a new run with its student."
        )
    _check_settings(settings, plain(config), path)
    return ResumePoint(path, step, best_score(checkpoint), _data(checkpoint.get("elite_data")))


def _newest(out: Path) -> Path | None:
    """last.ckpt; a run that was killed between its first two checkpoints has only best.ckpt."""
    found = [out / "checkpoints" / name for name in ("last.ckpt", "best.ckpt")]
    return next((path for path in found if path.exists()), None)


def best_score(checkpoint: dict[str, Any]) -> float | None:
    """The best score; up to version 0.1 Lightning's callback kept it."""
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
    """What ``summarise`` returned, if it is that: a file may hold anything."""
    if not isinstance(found, dict):
        return None
    parts = [(name, part.get("count"), part.get("digest")) for name, part in found.items() if isinstance(part, dict)]
    types = [tuple(map(type, part)) for part in parts]
    return found if len(parts) == len(found) and all(kind == (str, int, str) for kind in types) else None


# ---- settings -----------------------------------------------------------------------------------------------------


def _check_settings(before: Any, now: Any, path: Path) -> None:
    try:
        differences = settings_changed(before, now)
    except RecursionError as error:  # a pickle can hold itself
        raise CheckpointError(f"{path} is damaged: its settings are nested without end. Copy it again.") from error
    fatal = [text for name, text in differences.items() if not name.startswith(_REPORTED)]
    if fatal:
        raise ConfigError(
            f"{path} is of a run with other settings: {'; '.join(fatal)}. Give the settings it had, or start another "
            f"run from its student with --init {path} and another --out."
        )
    for text in differences.values():
        say(f"resumed with another setting: {text}")


def settings_changed(before: Any, now: Any) -> dict[str, str]:
    """'name: X then, Y now' of every setting that differs, except for those that may."""
    old, new = _flat(before), _flat(now)
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return {
        name: f"{name} {old.get(name, 'unknown')} then, {new.get(name, 'unknown')} now"
        for name in names
        if not name.startswith(_FREE)
    }


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, dict):
        return {prefix[:-1]: values}
    return {name: value for key, part in values.items() for name, value in _flat(part, f"{prefix}{key}.").items()}


# ---- data ---------------------------------------------------------------------------------------------------------


def summarise(ids: Mapping[str, Iterable[str]]) -> DataSummary:
    """Number and digest of each named list of ids, fit for a checkpoint. The order of a list does not matter."""
    lists = {name: sorted(given) for name, given in ids.items()}
    return {
        name: {"count": len(found), "digest": hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]}
        for name, found in lists.items()
    }


def check_data(point: ResumePoint, now: DataSummary, *, allow_other: bool) -> None:
    """Check that a run resumes over the data it had: with other scans, the result is that of neither selection.

    Raises:
        ConfigError: it is other data, and ``allow_other`` is not set; then it is only reported.
    """
    if point.data is None:
        say(f"{point.path} does not record its data, as in older versions: whether it is the same was not checked")
        return
    differences = [
        f"{name} {_count(point.data.get(name))} then, {_count(now.get(name))} now"
        + (" (as many, but others)" if _count(point.data.get(name)) == _count(now.get(name)) else "")
        for name in sorted({*point.data, *now})
        if point.data.get(name) != now.get(name)
    ]
    if differences and not allow_other:
        raise ConfigError(
            f"{point.path} is of a run over other data: {'; '.join(differences)}. Restore the data or the selection, "
            "or give --allow-other-data to resume over what there is now."
        )
    if differences:
        say(f"resumed over other data: {'; '.join(differences)}")


def _count(part: dict[str, Any] | None) -> Any:
    return "unknown" if part is None else part.get("count", "unknown")
