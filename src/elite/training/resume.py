"""Going on where a run stopped: which checkpoint, and whether the settings are still the same."""

from pathlib import Path
from typing import Any

from elite.config import TrainConfig, plain
from elite.errors import CheckpointError, ConfigError
from elite.terminal import say
from elite.torch_file import load_torch

# What may change between the parts of a run. Its numbers do not depend on the first of these; a change of the others is
# told, for it can change the last digits.
_FREE = ("out", "overwrite", "resume", "save_every", "faults.", "data.root", "data.workers", "teacher.weights")
_TOLD = ("accelerator", "devices", "backend")


def checkpoint_to_resume(config: TrainConfig) -> tuple[Path | None, int]:
    """The checkpoint that ``config.resume`` means, None = from the beginning; and the optimiser steps behind it.

    Raises:
        CheckpointError: it is damaged, or no checkpoint of a run.
        ConfigError: it was made with other settings; all of them are named.
    """
    if config.resume is None:
        return None, 0
    path = _newest(config.out) if config.resume == "last" else Path(config.resume)
    if path is None:
        say(f"{config.out} has no checkpoint yet: the run starts from the beginning")
        return None, 0
    checkpoint = load_torch(path)
    settings, progress, step = (checkpoint.get(key) for key in ("elite_config", "elite_progress", "global_step"))
    if not (isinstance(settings, dict) and isinstance(progress, dict) and isinstance(step, int)):
        raise CheckpointError(
            f"{path} is no checkpoint that a run can go on from; --init starts a new run with its student."
        )
    _check_settings(settings, plain(config), path)
    return path, step


def _newest(out: Path) -> Path | None:
    """last.ckpt; a run that was killed between its first two checkpoints has only best.ckpt."""
    found = [out / "checkpoints" / name for name in ("last.ckpt", "best.ckpt")]
    return next((path for path in found if path.exists()), None)


def _check_settings(before: Any, now: Any, path: Path) -> None:
    try:
        differences = settings_changed(before, now)
    except RecursionError as error:  # a pickle can hold itself
        raise CheckpointError(f"{path} is damaged: its settings are nested without end; copy it again.") from error
    fatal = [text for name, text in differences.items() if not name.startswith(_TOLD)]
    if fatal:
        raise ConfigError(
            f"{path} is of a run with other settings: {'; '.join(fatal)}; give the settings it had, or start another "
            f"run from its student with --init {path} and another --out."
        )
    for text in differences.values():
        say(f"resumed with another setting: {text}")


def settings_changed(before: Any, now: Any) -> dict[str, str]:
    """'name: X then, Y now' of every setting that differs, but for those that may."""
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
