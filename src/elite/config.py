"""Every setting, one dataclass per part; the defaults are the paper's and those of its released
configuration. Impossible values are refused when the record is made.
"""

from dataclasses import dataclass, field, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from elite.errors import ConfigError


def _rises(values: tuple[int, ...]) -> bool:
    return all(a < b for a, b in pairwise(values))


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
        _require(
            len(self.strides) >= 2 and min(self.strides) == self.strides[0] == 1 and _rises(self.strides),
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
        label_fraction: share of the training labels that is used; the rest counts as unlabelled, for the teacher too.
        label_unit: what the share is taken of: scans (0.01 = every 100th training scan) or points of every scan.
        cameras: image folders that the teacher sees: image_2,image_3. A frame without image trains the student alone.
        require_images: a frame without an image of every camera is an error.
        dense_labels: what teaches the teacher: none = labels of the points at their pixels, or a folder of dense
            image labels, image_2_labels or image_2_pseudo, where there is one for the frame.
        batch_size: scans a step on each device.
        workers: loader processes.
    """

    root: Path | None = None
    sequences: str = "train"
    frames: str | None = None
    val_sequences: str = "valid"
    val_frames: str | None = None
    labels: str = "labels"
    label_fraction: float = 1.0
    label_unit: Literal["scans", "points"] = "scans"
    cameras: str = "image_2"
    require_images: bool = False
    dense_labels: str = "none"
    batch_size: int = 4
    workers: int = 2

    def __post_init__(self) -> None:
        _require(
            0 < self.label_fraction <= 1, f"data.label_fraction is a share in (0, 1], found {self.label_fraction}."
        )
        _require(
            self.dense_labels == "none" or self.label_fraction == 1 or self.label_unit == "scans",
            f"data.dense_labels {self.dense_labels} would show the teacher labels that data.label_fraction hides; "
            "take the fraction of scans (data.label_unit scans), or no dense labels.",
        )
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
class ImageConfig:
    """What becomes of an image, its pairs and its dense labels before the teacher sees them.

    Attributes:
        scale: resized by this factor first.
        crop: rows and columns that are kept: the lowest rows; columns from a random left edge in training, from the
            middle for scoring.
        jitter: brightness, contrast and saturation are each multiplied by a factor in [1 - jitter, 1 + jitter].
        flip: share of the training images that are mirrored.
    """

    scale: float = 1.0
    crop: tuple[int, int] = (320, 1024)
    jitter: float = 0.4
    flip: float = 0.5

    def __post_init__(self) -> None:
        _require(self.scale > 0, f"image.scale must be positive, found {self.scale}.")
        _require(min(self.crop) >= 1, f"image.crop must be positive, found {self.crop}.")
        _require(0 <= self.jitter < 1, f"image.jitter must be in [0, 1), found {self.jitter}.")
        _require(0 <= self.flip <= 1, f"image.flip is a share in [0, 1], found {self.flip}.")


@dataclass(frozen=True)
class AdapterConfig:
    """How the foundation model is adapted. Defaults: ELiTe's AdaLoRA.

    The lengths of AdaLoRA's schedule are shares of the run's optimiser steps T, which are counted, never typed.

    Attributes:
        method: adalora, lora, dora = low-rank updates of frozen weights; full = all weights are trained; frozen = none.
        rank: rank of every update (AdaLoRA: the initial one).
        target_rank: AdaLoRA: mean rank that is left in the end.
        alpha: scale of the updates (alpha / rank).
        targets: names of the layers that are adapted; default: those of the paper for SAM, else every Linear in the
            blocks.
        first_block: blocks below this one are left alone (and computed without a graph).
        initial: AdaLoRA: share of T before ranks are pruned.
        final: AdaLoRA: share of T at the end with fixed ranks.
        interval: AdaLoRA: share of T between two allocations (at least one step).
        beta1, beta2: AdaLoRA: smoothing of the importance and of its uncertainty.
        orthogonality: AdaLoRA: weight of the regularisation.
        hold_budget: AdaLoRA: apply the last allocation after every step, so that pruned ranks cannot recover between
            allocations.
    """

    method: Literal["adalora", "lora", "dora", "full", "frozen"] = "adalora"
    rank: int = 12
    target_rank: int = 8
    alpha: float = 1.0
    targets: tuple[str, ...] | None = None
    first_block: int = 0
    initial: float = 1 / 6
    final: float = 1 / 2
    interval: float = 1 / 300
    beta1: float = 0.85
    beta2: float = 0.85
    orthogonality: float = 0.1
    hold_budget: bool = False

    def __post_init__(self) -> None:
        _require(self.rank >= 1, f"teacher.adapter.rank must be at least 1, found {self.rank}.")
        _require(
            self.method != "adalora" or 1 <= self.target_rank < self.rank,
            f"teacher.adapter.target_rank must be in [1, rank), found {self.target_rank} with rank {self.rank}.",
        )
        _require(self.alpha > 0, f"teacher.adapter.alpha must be positive, found {self.alpha}.")
        _require(self.first_block >= 0, f"teacher.adapter.first_block must not be negative, found {self.first_block}.")
        _require(
            self.initial > 0 and self.final > 0 and self.initial + self.final < 1,
            "teacher.adapter.initial and final are shares of the run that leave something between them, found "
            f"{self.initial} and {self.final}.",
        )
        _require(0 < self.interval < 1, f"teacher.adapter.interval is a share in (0, 1), found {self.interval}.")
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            _require(0 < value < 1, f"teacher.adapter.{name} must be in (0, 1), found {value}.")
        _require(
            self.orthogonality >= 0,
            f"teacher.adapter.orthogonality must not be negative, found {self.orthogonality}.",
        )


@dataclass(frozen=True)
class TeacherConfig:
    """The camera network that teaches: a vision foundation model, adapted, with a head per stage of the student.

    Attributes:
        weights: of the foundation model: a transformers folder or hub id, Meta's SAM .pth, or what elite train-teacher
            wrote. none = no teacher; random = an untrained one, for trials. Not giving any is an error.
        model: architecture for random weights: sam-vit-b, sam-vit-l, sam-vit-h, sam-tiny, resnet-tiny, or a folder or
            file with a transformers config.json.
        depths: blocks whose output is tapped, one per stage of the student, counted from 0; default: evenly spaced
            (2, 5, 8, 11 of SAM ViT-B's 12).
        rel_pos: SAM's relative positions on a crop: slice = those of the square model, interpolate = stretched.
        channels: width of the taps.
        heads: taps and heads start anew, or pretrained: as elite train-teacher --objective classes left them beside the
            weights (labels of other streets then speak in them).
        checkpointing: recompute activations in the backward pass to save memory.
    """

    weights: str | None = None
    model: str = "sam-vit-b"
    depths: tuple[int, ...] | None = None
    rel_pos: Literal["slice", "interpolate"] = "slice"
    channels: int = 96
    heads: Literal["new", "pretrained"] = "new"
    checkpointing: bool = False
    adapter: AdapterConfig = field(default_factory=AdapterConfig)

    def __post_init__(self) -> None:
        _require(self.channels >= 1, f"teacher.channels must be at least 1, found {self.channels}.")
        _require(
            self.depths is None or (len(self.depths) > 0 and self.depths[0] >= 0 and _rises(self.depths)),
            f"teacher.depths must be block numbers from 0 that rise, found {self.depths}.",
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TeacherConfig":
        """From plain values (lists where tuples belong), as checkpoints store them."""
        try:
            adapter = dict(values["adapter"])
            if adapter.get("targets") is not None:
                adapter["targets"] = tuple(adapter["targets"])
            depths = values.get("depths")
            rest = {"depths": None if depths is None else tuple(depths), "adapter": AdapterConfig(**adapter)}
            return cls(**{**values, **rest})
        except (TypeError, ValueError, KeyError) as error:
            raise ConfigError(
                f"these are no teacher settings ({error}); the file comes from another version."
            ) from error


@dataclass(frozen=True)
class DistillConfig:
    """Weights of what is added to the main loss.

    Attributes:
        student_heads: cross entropy + Lovasz of each student stage against the majority label of its voxels.
        teacher_heads: the same of each teacher stage against its labelled pixels; shared out among the stages.
        kl: KL(teacher || student) of each stage at point-pixel pairs, averaged over pairs and classes as the
            published training does (1/20 of the usual mean over pairs); shared out among the stages.
        multi_stage: cross entropy + Lovasz of the teacher's head on all stages.
        logits: KL(teacher's head on all stages || the student's own logits) at the pairs, averaged as ``kl``. Not in
            the paper (0): where labels are few, the student's answer itself follows the camera.
        voxel_majority: a voxel's label is the majority of all its points, unlabelled ones counted as class 0 (the
            published way), or of its labelled points only.
        dense_stride: with dense labels, every how many pixels in both directions are looked at.
    """

    student_heads: float = 1.0
    teacher_heads: float = 1.0
    kl: float = 0.05
    multi_stage: float = 1.0
    logits: float = 0.0
    voxel_majority: Literal["all", "labelled"] = "all"
    dense_stride: int = 1

    def __post_init__(self) -> None:
        for name in ("student_heads", "teacher_heads", "kl", "multi_stage", "logits"):
            value = getattr(self, name)
            _require(value >= 0, f"distill.{name} must not be negative, found {value}.")
        _require(self.dense_stride >= 1, f"distill.dense_stride must be at least 1, found {self.dense_stride}.")


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
    """SGD with Nesterov momentum and a cosine to ``final_lr``; the length is computed from the data.

    Attributes:
        lr: peak rate of everything that is trained.
        teacher_lr: another one for the teacher.
        momentum, weight_decay: of SGD.
        final_lr: where the cosine ends, for ``lr``; other rates shrink by the same factor.
        anneal: the cosine falls with every step, or with every epoch.
        warmup_steps: optimiser steps of linear warm-up.
        clip: largest norm of the gradient.
        clip_together: one norm over all trained parameters, as the published training does; or one for the teacher and
            one for the rest, so that a large gradient of the one does not shorten the other's step.
    """

    lr: float = 0.24
    teacher_lr: float | None = None
    momentum: float = 0.9
    weight_decay: float = 1e-4
    final_lr: float = 0.0
    anneal: Literal["step", "epoch"] = "step"
    warmup_steps: int = 0
    clip: float = 1.0
    clip_together: bool = True

    def __post_init__(self) -> None:
        _require(self.lr > 0, f"optim.lr must be positive, found {self.lr}.")
        _require(
            self.teacher_lr is None or self.teacher_lr > 0,
            f"optim.teacher_lr must be positive, found {self.teacher_lr}.",
        )
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
    image: ImageConfig = field(default_factory=ImageConfig)
    student: StudentConfig = field(default_factory=StudentConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
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


@dataclass(frozen=True)
class ImageDataConfig:
    """Which images a foundation model is pre-trained on.

    Attributes:
        root: the data set, the folder that holds ``sequences/``; its scans are not read and need not exist.
        sequences: numbers (00,01 or 0-7) or split names; by default every sequence with images.
        frames: images within each sequence, 0-2 or 0,5; all by default.
        val_sequences: sequences that are left out of the above and scored on in the end; none = no score.
        val_frames: images within those.
        cameras: image folders: image_2,image_3. Dense labels are those of image_2_labels and so on.
        batch_size: images a step.
        workers: loader processes.
    """

    root: Path | None = None
    sequences: str | None = None
    frames: str | None = None
    val_sequences: str = "none"
    val_frames: str | None = None
    cameras: str = "image_2"
    batch_size: int = 4
    workers: int = 1

    def __post_init__(self) -> None:
        _require(self.batch_size >= 1, f"data.batch_size must be at least 1, found {self.batch_size}.")
        _require(self.workers >= 0, f"data.workers must not be negative, found {self.workers}.")


@dataclass(frozen=True)
class PretrainConfig:
    """Pre-training of a vision foundation model from random weights, on images alone.

    Attributes:
        out: folder of the model that is written.
        overwrite: replace the model that ``out`` holds already; otherwise that is an error.
        model: architecture, as ``teacher.model``.
        objective: segments = tell the segments of an image apart, without class names (dense labels are read as a
            partition only); classes = name every pixel's class; reconstruction = paint hidden patches, without labels.
        hidden: share of an image's patches (16 x 16 pixels) that are greyed out; the objective asks for their colours.
        queries: pixels of an image whose segment is asked for.
        width: channels of the objective's own layers. They are thrown away, but for the taps and heads of classes.
        image: a crop may lie anywhere in the image, not only on its lowest rows.
        steps: optimiser steps.
        lr, weight_decay: of AdamW; cosine to 0.
        warmup_steps: linear rise of the rate in the beginning.
        clip: largest norm of the gradient.
        accelerator: auto, cpu, cuda.
        precision: Lightning's name: 32-true, bf16-mixed, 16-mixed.
        seed: of weights, order and augmentation.
    """

    out: Path = Path("runs/foundation")
    overwrite: bool = False
    model: str = "resnet-tiny"
    objective: Literal["segments", "classes", "reconstruction"] = "segments"
    hidden: float = 0.3
    queries: int = 48
    width: int = 64
    data: ImageDataConfig = field(default_factory=ImageDataConfig)
    image: ImageConfig = field(default_factory=lambda: ImageConfig(crop=(160, 160)))
    steps: int = 1000
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 20
    clip: float = 1.0
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    seed: int = 0

    def __post_init__(self) -> None:
        _require(0 <= self.hidden < 1, f"hidden is a share in [0, 1), found {self.hidden}.")
        _require(
            self.hidden > 0 or self.objective != "reconstruction",
            "objective reconstruction has nothing to paint with hidden 0; hide a share of the patches, such as 0.3.",
        )
        for name in ("queries", "width", "steps"):
            value = getattr(self, name)
            _require(value >= 1, f"{name} must be at least 1, found {value}.")
        _require(self.lr > 0, f"lr must be positive, found {self.lr}.")
        _require(self.weight_decay >= 0, f"weight_decay must not be negative, found {self.weight_decay}.")
        _require(self.warmup_steps >= 0, f"warmup_steps must not be negative, found {self.warmup_steps}.")
        _require(self.clip > 0, f"clip must be positive, found {self.clip}.")
        _require(0 <= self.seed < 2**32, f"seed must be in [0, 2^32), found {self.seed}.")


def plain(config: Any) -> Any:
    """A configuration as dictionaries, lists, strings and numbers, fit for YAML, JSON and checkpoints."""
    if is_dataclass(config) and not isinstance(config, type):
        return {f.name: plain(getattr(config, f.name)) for f in fields(config)}
    if isinstance(config, list | tuple):
        return [plain(value) for value in config]
    return str(config) if isinstance(config, Path) else config
