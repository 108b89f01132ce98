"""Settings of a training run: losses, optimiser, and all parts together."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from elite.config._checks import (
    require,
    require_at_least,
    require_positive,
    require_seed,
    require_shares,
    require_shares_below_one,
    rises,
)
from elite.config._records import expand_home
from elite.config.data import AugmentConfig, DataConfig, ImageConfig
from elite.config.grid import GridConfig
from elite.config.student import StudentConfig
from elite.config.teacher import TeacherConfig


@dataclass(frozen=True)
class DistillConfig:
    """Weights of the losses of the heads and of distillation, added to the main loss.

    Attributes:
        student_heads: weight of cross entropy + Lovasz of each student stage against the majority label of its voxels.
        teacher_heads: weight of the same losses of each teacher stage at its labelled pixels, divided by the number of
            stages.
        kl: weight of KL(teacher || student) of each stage at point-pixel pairs, divided by the number of stages. As in
            the published training, it is averaged over pairs and classes (1/20 of the mean over pairs).
        multi_stage: weight of cross entropy + Lovasz of the teacher's multi-stage head.
        logits: weight of KL(teacher's multi-stage head || logits of the student) at the pairs, averaged as ``kl``. Not
            in the paper (0). With few labels, it lets the prediction of the student itself follow the camera.
        voxel_majority: points that vote for the label of a voxel: all, with unlabelled ones as class 0 (the published
            way), or labelled.
        dense_stride: with dense labels, every n-th pixel in both directions is used.
        dense_pairs: with dense labels, also use the pixels of labelled points. The teacher of the paper uses only
            dense labels.
        stages: stages with heads and distillation, counted from 0; by default all of the student. The multi-stage head
            of the teacher always learns.
    """

    student_heads: float = 1.0
    teacher_heads: float = 1.0
    kl: float = 0.05
    multi_stage: float = 1.0
    logits: float = 0.0
    voxel_majority: Literal["all", "labelled"] = "all"
    dense_stride: int = 1
    dense_pairs: bool = False
    stages: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        require_at_least(0, self, "distill.", "student_heads", "teacher_heads", "kl", "multi_stage", "logits")
        require_at_least(1, self, "distill.", "dense_stride")
        is_valid = self.stages is None or (len(self.stages) > 0 and self.stages[0] >= 0 and rises(self.stages))
        require(is_valid, "distill.stages", "increasing stage numbers from 0", self.stages)


@dataclass(frozen=True)
class SelfTrainingConfig:
    """Self-training: unlabelled points learn the prediction of the averaged student for rotated copies of the scan.

    It requires ``optim.average``. Scans without labels then take part even without a teacher.

    Attributes:
        weight: weight of the main loss against these predictions (0 = off).
        views: number of randomly rotated copies. The prediction is the mean of their softmax.
        confidence: smallest confidence of a prediction that is learned.
        start: share of the steps before self-training begins. Without a teacher, these steps use only labelled scans.
    """

    weight: float = 0.0
    views: int = 2
    confidence: float = 0.9
    start: float = 0.2

    def __post_init__(self) -> None:
        require_at_least(0, self, "self_training.", "weight")
        require_at_least(1, self, "self_training.", "views")
        require_shares_below_one(self, "self_training.", "confidence", "start")


@dataclass(frozen=True)
class LossConfig:
    """Main loss: weighted cross entropy + ``lovasz`` x Lovasz-softmax.

    Attributes:
        lovasz: weight of the Lovasz term.
        class_weights: class weights of the cross entropy: taxonomy = from the point counts of ``data.taxonomy`` (for
            SemanticKITTI, the published ones; earlier name: semantickitti), or as data if it has none; data = from the
            training frames; none.
    """

    lovasz: float = 0.1
    class_weights: Literal["taxonomy", "semantickitti", "data", "none"] = "taxonomy"

    def __post_init__(self) -> None:
        require_at_least(0, self, "loss.", "lovasz")


@dataclass(frozen=True)
class OptimConfig:
    """SGD with Nesterov momentum and a cosine schedule to ``final_lr`` over the run.

    Attributes:
        lr: peak learning rate.
        teacher_lr: peak learning rate of the teacher; by default ``lr``.
        momentum: momentum of SGD.
        weight_decay: weight decay of SGD.
        final_lr: learning rate at the end, for ``lr``. Other rates shrink by the same factor.
        anneal: unit of the cosine: step or epoch.
        warmup_steps: steps of linear warm-up.
        clip: largest gradient norm.
        clip_together: one gradient norm over all trained parameters, as in the published training. Otherwise the
            teacher has its own, and its large gradients do not shorten the steps of the student.
        average: decay of a moving average of the student's weights and batch-norm statistics, such as 0.999 (0 = off).
            It is the mean of the first 1 / (1 - decay) steps until then. The average is validated and saved as the
            student of a checkpoint.
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
    average: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "optim.", "lr", "clip", *(["teacher_lr"] if self.teacher_lr is not None else []))
        require_shares_below_one(self, "optim.", "momentum", "average")
        require_at_least(0, self, "optim.", "weight_decay", "warmup_steps")
        require(0 <= self.final_lr <= self.lr, "optim.final_lr", f"0 to lr = {self.lr}", self.final_lr)


@dataclass(frozen=True)
class FaultConfig:
    """Faults that a run tolerates. All are counted and recorded in ``OUT/faults.jsonl``.

    Attributes:
        frames: largest share of the training frames that may be unreadable. Each is replaced by the next frame. Every
            process counts those that it reads.
        steps: number of consecutive steps without finite loss and gradient that ends the run. Fewer are skipped.
    """

    frames: float = 0.01
    steps: int = 10

    def __post_init__(self) -> None:
        require_shares(self, "faults.", "frames")
        require_at_least(1, self, "faults.", "steps")

    def tolerated(self, frames: int) -> int:
        """Return the largest number of unreadable frames among ``frames`` training frames."""
        return int(self.frames * frames)


@dataclass(frozen=True)
class TrainConfig:
    """Training run.

    Attributes:
        out: run folder, for checkpoints, settings, versions and logs.
        overwrite: replace a run that ``out`` already contains. Otherwise that is an error.
        resume: checkpoint to resume with unchanged settings: last = the newest in ``out`` (the beginning if there are
            none), or a file.
        allow_other_data: resume a run although its scans, images or labels have changed.
        save_every: optimiser steps between two checkpoints. Each epoch also ends with one.
        epochs: number of passes over the training frames.
        steps: number of optimiser steps, instead of epochs.
        val_every: epochs (or steps, if ``steps`` is given) between two validations; by default one epoch, or all
            steps. It must divide the run, which thus ends with a validation.
        accumulate: batches per optimiser step.
        precision: number format: 32-true, bf16-mixed or 16-mixed (not on a CPU).
        accelerator: device type: auto, cpu or cuda.
        devices: number of devices, or auto. torchrun and srun override it.
        backend: backend of the sparse convolutions: native, torch, spconv or auto. auto is native on a CPU; on CUDA, it
            is spconv if its CUDA build can be imported, otherwise torch. spconv always computes in float32.
        deterministic: refuse operations without repeatable results. On a CPU, all are repeatable; on CUDA, the backend
            becomes torch, and some foundation models contain such operations.
        strict: doubtful inputs (remission, height, axes, points without a return) are errors instead of warnings.
        seed: seed of weights, order and augmentation.
        init: checkpoint or student file with the initial weights of the student, or the name of a packaged student.
        init_classes: classes of that file: equal = those of the data; match = any. With match, output rows of classes
            with equal names are kept, and the others are initialised by the seed.
        freeze: parts of the student that are not trained, such as point_mlp, stages.0 or classifier, or none. Their
            batch-norm statistics are frozen, too.
    """

    out: Path = Path("runs/student")
    overwrite: bool = False
    resume: str | None = None
    allow_other_data: bool = False
    save_every: int = 500
    epochs: int = 64
    steps: int | None = None
    val_every: int | None = None
    accumulate: int = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int | Literal["auto"] = "auto"
    backend: Literal["auto", "native", "torch", "spconv"] = "auto"
    deterministic: bool = False
    strict: bool = False
    seed: int = 0
    init: Path | None = None
    init_classes: Literal["equal", "match"] = "equal"
    freeze: str = "none"
    faults: FaultConfig = field(default_factory=FaultConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    student: StudentConfig = field(default_factory=StudentConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    self_training: SelfTrainingConfig = field(default_factory=SelfTrainingConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)

    def __post_init__(self) -> None:
        expand_home(self)
        require_seed(self.seed)
        require(self.devices == "auto" or int(self.devices) >= 1, "devices", "at least 1 or auto", self.devices)
        require_at_least(1, self, "", "epochs", "accumulate", "save_every")
        require(self.steps is None or self.steps >= 1, "steps", "at least 1", self.steps)
        self._check_validation()
        require(
            self.self_training.weight == 0 or self.optim.average > 0,
            "optim.average",
            "a decay such as 0.99 for self-training",
            self.optim.average,
            "Set optim.average.",
        )

    def _check_validation(self) -> None:
        length, unit = (self.epochs, "epochs") if self.steps is None else (self.steps, "steps")
        divides = self.val_every is None or (self.val_every >= 1 and length % self.val_every == 0)
        require(divides, "val_every", f"a divisor of the run of {length} {unit}", self.val_every)
