"""Every setting, one dataclass per part; the defaults are the paper's and those of its released
configuration. Impossible values are refused when the record is made.
"""

from dataclasses import dataclass, field, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from elite.errors import ConfigError


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True)
class StudentConfig:
    """The sparse-voxel student.

    Attributes:
        channels: width of every stage.
        strides: voxel strides of the grids; stage i goes from strides[i] to strides[i + 1].
        volume: low and high corner (m) of the box that is segmented.
        cells: cells of the stride-1 grid along x, y, z.
        classes: number of classes with the ignored class 0.
    """

    channels: int = 64
    strides: tuple[int, ...] = (1, 2, 4, 8, 16)
    volume: tuple[tuple[float, float, float], tuple[float, float, float]] = ((-50.0, -50.0, -4.0), (50.0, 50.0, 2.0))
    cells: tuple[int, int, int] = (1000, 1000, 60)
    classes: int = 20

    def __post_init__(self) -> None:
        _require(
            self.channels >= 2 and self.channels % 2 == 0,
            f"student.channels must be even and at least 2, found {self.channels}.",
        )
        rising = all(a < b for a, b in pairwise(self.strides))
        _require(
            len(self.strides) >= 2 and min(self.strides) == self.strides[0] == 1 and rising,
            f"student.strides must start at 1 and rise, at least one step; found {self.strides}.",
        )
        _require(
            self.classes >= 2,
            f"student.classes counts the ignored class 0 too, so at least 2; found {self.classes}.",
        )
        low, high = self.volume
        _require(
            all(a < b for a, b in zip(low, high, strict=True)),
            f"student.volume must go from its low to its high corner, found {self.volume}.",
        )
        _require(min(self.cells) >= 1, f"student.cells must be positive, found {self.cells}.")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "StudentConfig":
        """From plain values (lists where tuples belong), as checkpoints store them."""
        try:
            values = dict(values)
            for name in ("strides", "cells"):
                if name in values:
                    values[name] = tuple(values[name])
            if "volume" in values:
                low, high = values["volume"]
                values["volume"] = (tuple(low), tuple(high))
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"these are no student settings ({error}); the file comes from another version."
            ) from error


@dataclass(frozen=True)
class DataConfig:
    """Which frames are read, and how.

    Attributes:
        root: the data set, the folder that holds ``sequences/``.
        sequences: training sequences: split names (train, valid, test) or numbers, 00,01 or 0-7.
        frames: training frames within each sequence, 0-2 or 0,5; all by default.
        val_sequences: sequences that the model is scored on while training; none = no validation.
        val_frames: frames within those.
        labels: folder of the training labels: labels, labels_partial, scribbles, ... Validation reads labels.
        batch_size: scans a step on each device.
        workers: loader processes.
    """

    root: Path | None = None
    sequences: str = "train"
    frames: str | None = None
    val_sequences: str = "valid"
    val_frames: str | None = None
    labels: str = "labels"
    batch_size: int = 4
    workers: int = 2

    def __post_init__(self) -> None:
        _require(self.batch_size >= 1, f"data.batch_size must be at least 1, found {self.batch_size}.")
        _require(self.workers >= 0, f"data.workers must not be negative, found {self.workers}.")


@dataclass(frozen=True)
class AugmentConfig:
    """3D augmentation of training scans, in this order: drop, rotate, flip, scale, shift.

    Attributes:
        enabled: off = the scan as it is.
        drop: at most this share of the points is removed (a uniform share in [0, drop] each time).
        rotate: largest turn about z, degrees: uniform in [0, rotate).
        flip: none, x, y or both, one quarter each.
        scale: range of the factor on x and y.
        shift: standard deviation (m) of the offset in x, y, z.
    """

    enabled: bool = True
    drop: float = 0.2
    rotate: float = 360.0
    flip: bool = True
    scale: tuple[float, float] = (0.95, 1.05)
    shift: float = 0.1

    def __post_init__(self) -> None:
        _require(0 <= self.drop < 1, f"augment.drop is a share in [0, 1), found {self.drop}.")
        _require(self.rotate >= 0, f"augment.rotate must not be negative, found {self.rotate}.")
        _require(
            0 < self.scale[0] <= self.scale[1],
            f"augment.scale must be a rising positive range, found {self.scale}.",
        )
        _require(self.shift >= 0, f"augment.shift must not be negative, found {self.shift}.")


@dataclass(frozen=True)
class LossConfig:
    """Main loss: weighted cross entropy + ``lovasz`` x Lovasz-softmax.

    Attributes:
        lovasz: weight of the Lovasz term (0.1 in the paper).
        class_weights: semantickitti = from the published point counts; data = counted on the training frames; none.
    """

    lovasz: float = 0.1
    class_weights: Literal["semantickitti", "data", "none"] = "semantickitti"

    def __post_init__(self) -> None:
        _require(self.lovasz >= 0, f"loss.lovasz must not be negative, found {self.lovasz}.")


@dataclass(frozen=True)
class OptimConfig:
    """SGD with Nesterov momentum and a cosine to ``final_lr``, per step; the length is computed from the data."""

    lr: float = 0.24
    momentum: float = 0.9
    weight_decay: float = 1e-4
    final_lr: float = 0.0
    warmup_steps: int = 0
    clip: float = 1.0

    def __post_init__(self) -> None:
        _require(self.lr > 0, f"optim.lr must be positive, found {self.lr}.")
        _require(0 <= self.momentum < 1, f"optim.momentum must be in [0, 1), found {self.momentum}.")
        _require(self.weight_decay >= 0, f"optim.weight_decay must not be negative, found {self.weight_decay}.")
        _require(0 <= self.final_lr <= self.lr, f"optim.final_lr must be in [0, lr], found {self.final_lr}.")
        _require(self.warmup_steps >= 0, f"optim.warmup_steps must not be negative, found {self.warmup_steps}.")
        _require(self.clip > 0, f"optim.clip must be positive, found {self.clip}.")


@dataclass(frozen=True)
class TrainConfig:
    """A whole training run.

    Attributes:
        out: run folder: checkpoints/, resolved config, versions and logs go there.
        overwrite: replace the run that ``out`` holds already; otherwise that is an error.
        epochs: passes over the training frames.
        steps: if given, run this many optimiser steps instead of counting epochs.
        val_every: validate every so many epochs, or steps if ``steps`` is given; by default every epoch, or once at
            the end of the steps. Must divide the run, so that the last weights are scored.
        accumulate: batches per optimiser step.
        precision: Lightning's name: 32-true, bf16-mixed, 16-mixed.
        accelerator: auto, cpu, cuda.
        devices: how many, or auto.
        seed: of weights, order and augmentation.
        init: start from this student (checkpoint or imported file).
    """

    out: Path = Path("runs/student")
    overwrite: bool = False
    epochs: int = 64
    steps: int | None = None
    val_every: int | None = None
    accumulate: int = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int | Literal["auto"] = "auto"
    seed: int = 0
    init: Path | None = None
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    student: StudentConfig = field(default_factory=StudentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)

    def __post_init__(self) -> None:
        _require(0 <= self.seed < 2**32, f"seed must be in [0, 2^32), found {self.seed}.")
        _require(self.devices == "auto" or int(self.devices) >= 1, f"devices must be at least 1, found {self.devices}.")
        _require(self.epochs >= 1, f"epochs must be at least 1, found {self.epochs}.")
        _require(self.steps is None or self.steps >= 1, f"steps must be at least 1, found {self.steps}.")
        length, unit = (self.epochs, "epochs") if self.steps is None else (self.steps, "steps")
        _require(
            self.val_every is None or (self.val_every >= 1 and length % self.val_every == 0),
            f"val_every must divide the run of {length} {unit}, or its last weights are never scored; "
            f"found {self.val_every}.",
        )
        _require(self.accumulate >= 1, f"accumulate must be at least 1, found {self.accumulate}.")


def plain(config: Any) -> Any:
    """A configuration as dictionaries, lists, strings and numbers, fit for YAML, JSON and checkpoints."""
    if is_dataclass(config) and not isinstance(config, type):
        return {f.name: plain(getattr(config, f.name)) for f in fields(config)}
    if isinstance(config, list | tuple):
        return [plain(value) for value in config]
    return str(config) if isinstance(config, Path) else config
