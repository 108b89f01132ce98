"""Run folder: checks before a run writes to it, removal of an earlier run, and the files that record the new one."""

import shutil
from pathlib import Path

import yaml

from elite.config import TrainConfig, plain
from elite.environment import describe
from elite.errors import ConfigError, OutputError
from elite.files import atomic_file, remove_partial_line, write_bytes, write_json
from elite.training.resume import ResumePoint

_RUN_FILES = ("config.yaml", "checkpoints/*.ckpt")  # one of these makes a folder a run folder
_APPENDED_FILES = ("metrics.csv", "faults.jsonl")
_REPLACED_FILES = (
    *(*_RUN_FILES, *_APPENDED_FILES, "versions.json", "parameters.json", "evaluation*.json"),
    *("tensorboard/events.out.tfevents.*", "report/*.png", "report/*.html", "untrained.safetensors"),
)


def lock_path(out: Path) -> Path:
    return out / ".lock"


def check_folder(config: TrainConfig, point: ResumePoint | None) -> None:
    """Check that a new run, or one that resumes from ``point``, may write into ``config.out``.

    Raises:
        ConfigError: the folder contains another run that may not be replaced, or ``config.init`` is one of its files.
    """
    if point is not None and point.is_in(config.out):
        return
    existing = _matching(config.out, _RUN_FILES)
    is_restart = config.resume == "last" and not _matching(config.out, _RUN_FILES[1:])  # stopped before a checkpoint
    if existing and not (is_restart or config.overwrite):
        other = "" if point is None else f", which is not that of {point.path}"
        raise ConfigError(
            f"{config.out}: expected a folder without a run, found a run ({existing[0].name}){other}. Choose another "
            "--out, use --resume last to continue the run, or --overwrite to replace it."
        )
    if config.init is not None and any(_is_same(config.init, path) for path in _matching(config.out, _REPLACED_FILES)):
        raise ConfigError(
            f"--init: expected a file outside {config.out}, which the new run replaces, found {config.init}. Copy the "
            "file to another folder, or choose another --out."
        )


def open_folder(config: TrainConfig, point: ResumePoint | None, parameters: dict[str, int]) -> None:
    """Remove the files of an earlier run, copy those that belong to ``point``, and record settings and versions.

    Raises:
        OutputError: the folder is not writable, or the disk is full.
    """
    for path in _matching(config.out, _REPLACED_FILES):
        path.unlink(missing_ok=True)
    if point is not None:
        _copy_history(point, config.out)
    write_bytes(config.out / "config.yaml", yaml.safe_dump(plain(config), sort_keys=False).encode())
    write_json(config.out / "versions.json", describe() | {"seed": config.seed})
    write_json(config.out / "parameters.json", parameters)


def remove_partial_output(out: Path) -> None:
    """Remove checkpoints and lines that were being written as the run was killed. Only the holder of the lock may."""
    for path in (out / "checkpoints").glob(".*.ckpt.*"):
        path.unlink(missing_ok=True)
    for path in _matching(out, _APPENDED_FILES):
        remove_partial_line(path)


def _copy_history(point: ResumePoint, out: Path) -> None:
    """Copy the best checkpoint, the metrics and the faults of the run of ``point``, if it is in a run folder."""
    checkpoints = point.path.parent
    if checkpoints.name != "checkpoints":
        return
    for name in ("checkpoints/best.ckpt", *_APPENDED_FILES):
        path = checkpoints.parent / name
        if path.is_file():
            try:
                with path.open("rb") as source, atomic_file(out / name) as copy:
                    shutil.copyfileobj(source, copy)
            except OSError as error:
                raise OutputError(
                    f"{out}: expected to copy {path} into this folder, found {error.strerror}. Check the storage."
                ) from error


def _matching(out: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in sorted(out.glob(pattern))]


def _is_same(a: Path, b: Path) -> bool:
    return a.exists() and a.samefile(b)
