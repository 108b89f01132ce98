"""Settings of a training run: the losses, the optimiser, and all parts together."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from elite.config._records import expand_home, require, rises
from elite.config.data import AugmentConfig, DataConfig, ImageConfig
from elite.config.student import StudentConfig
from elite.config.teacher import TeacherConfig


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
        dense_pairs: with dense labels, the pixels of labelled points are looked at too, as without; the paper's
            teacher then sees dense labels only.
        stages: the stages whose heads learn and follow each other, counted from 0; default: all of the student's.
            The teacher's head on all stages learns in any case.
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
        for name in ("student_heads", "teacher_heads", "kl", "multi_stage", "logits"):
            value = getattr(self, name)
            require(value >= 0, f"distill.{name} must not be negative, found {value}.")
        require(self.dense_stride >= 1, f"distill.dense_stride must be at least 1, found {self.dense_stride}.")
        require(
            self.stages is None or (len(self.stages) > 0 and self.stages[0] >= 0 and rises(self.stages)),
            f"distill.stages must be stage numbers from 0 that rise, found {self.stages}.",
        )


@dataclass(frozen=True)
class SelfTrainingConfig:
    """Points without labels follow the averaged student's own answer for the scan as seen from other headings.

    It needs ``optim.average``; scans without labels then take part even if no teacher looks at their images.

    Attributes:
        weight: of the main loss, computed against these answers; 0 = none.
        views: so often the scan is turned by any angle; the answer is the mean of the softmax over these views.
        confidence: answers with a smaller share teach nothing.
        start: share of the run's steps before it begins, while the average still knows little. Without a teacher these
            steps see labelled scans only.
    """

    weight: float = 0.0
    views: int = 2
    confidence: float = 0.9
    start: float = 0.2

    def __post_init__(self) -> None:
        require(self.weight >= 0, f"self_training.weight must not be negative, found {self.weight}.")
        require(self.views >= 1, f"self_training.views must be at least 1, found {self.views}.")
        require(0 <= self.confidence < 1, f"self_training.confidence is a share in [0, 1), found {self.confidence}.")
        require(0 <= self.start < 1, f"self_training.start is a share in [0, 1), found {self.start}.")


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
        require(self.lovasz >= 0, f"loss.lovasz must not be negative, found {self.lovasz}.")


@dataclass(frozen=True)
class OptimConfig:
    """SGD with Nesterov momentum and a cosine to ``final_lr``; the length is computed from the data.

    Attributes:
        lr: peak rate of everything that is trained.
        teacher_lr: another one for the teacher.
        momentum: of SGD.
        weight_decay: of SGD.
        final_lr: where the cosine ends, for ``lr``; other rates shrink by the same factor.
        anneal: the cosine falls with every step, or with every epoch.
        warmup_steps: optimiser steps of linear warm-up.
        clip: largest norm of the gradient.
        clip_together: one norm over all trained parameters, as the published training does; or one for the teacher and
            one for the rest, so that a large gradient of the one does not shorten the other's step.
        average: 0, or the decay (such as 0.999) of a moving average of the student's weights and batch norm statistics
            over the steps. It is what is validated, and what a checkpoint gives; training goes on beside it.
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
        require(self.lr > 0, f"optim.lr must be positive, found {self.lr}.")
        require(
            self.teacher_lr is None or self.teacher_lr > 0,
            f"optim.teacher_lr must be positive, found {self.teacher_lr}.",
        )
        require(0 <= self.momentum < 1, f"optim.momentum must be in [0, 1), found {self.momentum}.")
        require(self.weight_decay >= 0, f"optim.weight_decay must not be negative, found {self.weight_decay}.")
        require(0 <= self.final_lr <= self.lr, f"optim.final_lr must be in [0, lr], found {self.final_lr}.")
        require(self.warmup_steps >= 0, f"optim.warmup_steps must not be negative, found {self.warmup_steps}.")
        require(self.clip > 0, f"optim.clip must be positive, found {self.clip}.")
        require(0 <= self.average < 1, f"optim.average is a decay in [0, 1), found {self.average}.")


@dataclass(frozen=True)
class FaultConfig:
    """What a run puts up with; all of it is counted and named in ``OUT/faults.jsonl``.

    Attributes:
        frames: largest share of the frames trained on that may be unreadable; each is replaced by the next one. Of
            several processes each counts those that it has met.
        steps: so many steps in a row without a finite loss and gradient end the run; fewer are left out.
    """

    frames: float = 0.01
    steps: int = 10

    def __post_init__(self) -> None:
        require(0 <= self.frames <= 1, f"faults.frames is a share in [0, 1], found {self.frames}.")
        require(self.steps >= 1, f"faults.steps must be at least 1, found {self.steps}.")

    def tolerated(self, frames: int) -> int:
        """How many of so many frames that are trained on may be unreadable."""
        return int(self.frames * frames)


@dataclass(frozen=True)
class TrainConfig:
    """A whole training run.

    Attributes:
        out: run folder: checkpoints/, resolved config, versions and logs go there.
        overwrite: replace the run that ``out`` holds already; otherwise that is an error.
        resume: continue a run with the settings it had, from last = the newest checkpoint in ``out`` (from the
            beginning if there is none yet), or from a checkpoint file.
        allow_other_data: resume a run though its scans, images or labels have changed.
        save_every: besides the end of every epoch, save a checkpoint every so many optimiser steps.
        epochs: passes over the training frames.
        steps: if given, run this many optimiser steps instead of counting epochs.
        val_every: validate every so many epochs, or steps if ``steps`` is given; by default every epoch, or once at
            the end of the steps. Must divide the run, so that the last weights are scored.
        accumulate: batches per optimiser step.
        precision: Lightning's name: 32-true, bf16-mixed or, not on a CPU, 16-mixed.
        accelerator: auto, cpu, cuda.
        devices: how many, or auto. Under torchrun or srun: as many processes as they started.
        backend: library that convolves: native, torch, spconv, or auto: native on a CPU; on CUDA spconv if its CUDA
            build can be imported, otherwise torch. spconv convolves in float32 at any precision.
        deterministic: refuse operations whose results do not repeat. A CPU has none here; on CUDA the backend is torch,
            and a foundation model may contain some.
        strict: doubtful inputs (remission, height, axes, points without a return) are errors, not warnings.
        seed: of weights, order and augmentation.
        init: start from this student (checkpoint or imported file).
        freeze: parts of the student that are not trained: point_mlp, stages.0, ..., classifier, or none; their batch
            norms keep their statistics.
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
    freeze: str = "none"
    faults: FaultConfig = field(default_factory=FaultConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    student: StudentConfig = field(default_factory=StudentConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    self_training: SelfTrainingConfig = field(default_factory=SelfTrainingConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)

    def __post_init__(self) -> None:
        expand_home(self)
        require(0 <= self.seed < 2**32, f"seed must be in [0, 2^32), found {self.seed}.")
        require(self.devices == "auto" or int(self.devices) >= 1, f"devices must be at least 1, found {self.devices}.")
        require(self.epochs >= 1, f"epochs must be at least 1, found {self.epochs}.")
        require(self.steps is None or self.steps >= 1, f"steps must be at least 1, found {self.steps}.")
        length, unit = (self.epochs, "epochs") if self.steps is None else (self.steps, "steps")
        require(
            self.val_every is None or (self.val_every >= 1 and length % self.val_every == 0),
            f"val_every must divide the run of {length} {unit}, or its last weights are never scored; "
            f"found {self.val_every}.",
        )
        require(
            self.self_training.weight == 0 or self.optim.average > 0,
            "self_training needs the average of the student's weights; set --optim.average, such as 0.99.",
        )
        require(self.accumulate >= 1, f"accumulate must be at least 1, found {self.accumulate}.")
        require(self.save_every >= 1, f"save_every must be at least 1, found {self.save_every}.")
