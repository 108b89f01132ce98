"""The folder of a run: who may write into it, what an earlier run left there, what is recorded when a run begins."""

import shutil
from pathlib import Path

import yaml

from elite.config import TrainConfig, plain
from elite.environment import describe
from elite.errors import ConfigError, OutputError
from elite.files import atomic_file, write_bytes, write_json
from elite.training.resume import ResumePoint

_OF_A_RUN = ("config.yaml", "checkpoints/*.ckpt")  # any of these means that there is a run
_REPLACED = (
    *(*_OF_A_RUN, "versions.json", "parameters.json", "metrics.csv", "evaluation*.json", "faults.jsonl"),
    *("tensorboard/events.out.tfevents.*", "report/*.png", "report/*.html", "untrained.safetensors"),
)


def lock_path(out: Path) -> Path:
    return out / ".lock"


def check_folder(config: TrainConfig, point: ResumePoint | None) -> None:
    """Check that the run that begins, or resumes from ``point``, may write into ``config.out``.

    Raises:
        ConfigError: an earlier run is there, and no leave to replace it, or the new one needs a file of it.
    """
    if point is not None and point.is_in(config.out):
        return
    found = _found(config.out, _OF_A_RUN)
    starts_again = config.resume == "last" and not _found(config.out, _OF_A_RUN[1:])  # stopped before a checkpoint
    if found and not (starts_again or config.overwrite):
        whose = "" if point is None else f", and {point.path} is of another one"
        raise ConfigError(
            f"{config.out} holds a run already ({found[0].name}){whose}. Choose another --out, give --resume last to "
            "continue the run, or --overwrite true to replace it."
        )
    if config.init is not None and any(_is_same(config.init, path) for path in _found(config.out, _REPLACED)):
        raise ConfigError(
            f"--init {config.init} is a file of the run in {config.out}, which the new run replaces. Copy it elsewhere "
            "first, or choose another --out."
        )


def open_folder(config: TrainConfig, point: ResumePoint | None, parameters: dict[str, int]) -> None:
    """Remove what an earlier run left, record settings, versions and sizes, bring along what belongs to ``point``.

    Raises:
        OutputError: the folder is not writable, or the disk is full.
    """
    for path in _found(config.out, _REPLACED):
        path.unlink(missing_ok=True)
    if point is not None:
        _bring(point, config.out)
    write_bytes(config.out / "config.yaml", yaml.safe_dump(plain(config), sort_keys=False).encode())
    write_json(config.out / "versions.json", describe() | {"seed": config.seed})
    write_json(config.out / "parameters.json", parameters)


def remove_halves(out: Path) -> None:
    """Remove checkpoints that were being written when the run was killed. Only the holder of the lock may do this."""
    for path in (out / "checkpoints").glob(".*.ckpt.*"):
        path.unlink(missing_ok=True)


def _bring(point: ResumePoint, out: Path) -> None:
    """Copy what belongs to ``point`` from its own run, if that is where it lies."""
    checkpoints = point.path.parent
    if checkpoints.name != "checkpoints":
        return
    for name in ("checkpoints/best.ckpt", "metrics.csv", "faults.jsonl"):
        there = checkpoints.parent / name
        if there.is_file():
            try:
                with there.open("rb") as source, atomic_file(out / name) as copy:
                    shutil.copyfileobj(source, copy)
            except OSError as error:
                raise OutputError(f"cannot copy {there} to {out} ({error.strerror}). Check the storage.") from error


def _found(out: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in sorted(out.glob(pattern))]


def _is_same(a: Path, b: Path) -> bool:
    return a.exists() and a.samefile(b)
