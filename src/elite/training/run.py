"""A training run from its configuration: data, student, trainer, and what is left in the run folder.

::

    OUT/config.yaml  versions.json      everything needed to run it again
        parameters.json                 how many, by part
        metrics.csv  tensorboard/       curves
        checkpoints/best.ckpt last.ckpt
        faults.jsonl                    frames that could not be read, steps that were left out; if there were any
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from elite.config import TrainConfig, plain
from elite.data.datamodule import DataModule
from elite.environment import describe
from elite.errors import ConfigError, require_extra
from elite.files import make_folder, write_bytes, write_json
from elite.labels import NUM_CLASSES, POINT_COUNTS
from elite.losses import class_weights
from elite.processes import sizes
from elite.sparse import choose
from elite.student import SPVCNN, load_student
from elite.terminal import say
from elite.training.callbacks import AtomicCheckpointIO, StopSignal, Throughput, checkpoints
from elite.training.distillation import Distillation
from elite.training.faults import FaultLog
from elite.training.metrics_file import MetricsFile
from elite.training.module import Training
from elite.training.resume import checkpoint_to_resume
from elite.training.trainer import build_trainer, fit, own_requeue, quiet


@dataclass(frozen=True)
class TrainingResult:
    """Where the run's checkpoints are, and the best official validation mIoU.

    Without validation the score is None, and the best checkpoint is the last.
    """

    best: Path
    last: Path
    miou: float | None


def train(config: TrainConfig, *, progress: bool = True) -> TrainingResult:
    """Train the student as ``config`` says, with a teacher unless ``config.teacher.weights`` is none.

    Raises:
        ConfigError, CheckpointError, OutputError: before the first step, if something does not fit.
        DataError: the same, or later, when more frames are damaged than ``config.faults`` allows.
        TrainingError: too many steps in a row without finite numbers, or one of the processes is gone.
        StoppedError: it was asked to stop (SIGTERM), and has saved what is needed to go on.
    """
    if config.student.classes != NUM_CLASSES:
        raise ConfigError(f"student.classes must be {NUM_CLASSES} for SemanticKITTI, found {config.student.classes}.")
    config = _settled(config)
    resumed, step = checkpoint_to_resume(config)
    earlier = [] if resumed else _earlier_run(config)
    L.seed_everything(config.seed, workers=True, verbose=False)
    data = DataModule(config)
    _tell_absent(data)
    saving = checkpoints(config.out / "checkpoints", validated=data.val_set is not None, every=config.save_every)
    with quiet():
        callbacks = [*saving, StopSignal(saving[-1]), Throughput(), LearningRateMonitor("step")]
        trainer = _trainer(config, callbacks, progress, step=step)
        data.check_processes(trainer.world_size)
        choose(config.backend, trainer.strategy.root_device)
        module = _module(config, data, trainer.world_size)
        if resumed is None:
            _open_run(config, earlier, summary(module))  # not before everything else has been found to fit
        _remove_halves(config.out)
        fit(trainer, module, data, resumed)
    *best, last = saving
    score = best[0].best_model_score if best else None
    return TrainingResult(
        best=Path(best[0].best_model_path) if best else last.path,
        last=last.path,
        miou=None if score is None else float(score),
    )


def _module(config: TrainConfig, data: DataModule, world: int) -> Training:
    """Student first: the same seed gives the same student with and without a teacher."""
    student = initial_student(config)
    student.backend = config.backend
    total_steps = data.total_steps(world)
    teacher = _teacher(config, total_steps)
    wanted = teacher is not None or config.distill.student_heads > 0
    distillation = Distillation(config, teacher) if wanted else None
    return Training(
        config,
        student,
        loss_weights(config, data),
        total_steps=total_steps,
        steps_per_epoch=data.steps_per_epoch(world),
        distillation=distillation,
        faults=FaultLog(config.faults, data.train_set.used, config.out / "faults.jsonl"),
    )


def _teacher(config: TrainConfig, total_steps: int) -> Any:
    if config.teacher.weights == "none":
        return None
    for package in ("transformers", "peft"):
        require_extra(package, "teacher")
    from elite.teacher import Teacher

    teacher = Teacher.build(
        config.teacher, stages=len(config.student.strides) - 1, classes=config.student.classes, total_steps=total_steps
    )
    teacher.backbone.check_size(*config.image.crop)
    if teacher.random:
        say(f"the teacher has RANDOM weights ({config.teacher.model}): good for trials, it knows nothing of images")
    return teacher


def summary(module: Training) -> dict[str, int]:
    """Parameters of everything that takes part, by part."""
    parts = {"student, trained": sum(p.numel() for p in module.student.parameters())}
    if module.distillation is not None:
        parts["student heads, trained"] = sum(p.numel() for p in module.distillation.student_heads.parameters())
    if module.teacher is not None:
        parts |= module.teacher.summary()
    return parts


def _settled(config: TrainConfig) -> TrainConfig:
    """With whole paths, so that what is recorded means the same from any folder."""
    weights = config.teacher.weights
    if weights is None or not Path(weights).exists():
        return config
    return replace(config, teacher=replace(config.teacher, weights=str(Path(weights).resolve())))


def _earlier_run(config: TrainConfig) -> list[Path]:
    """What an earlier run left in the folder, none of which may pass as the new one's.

    Raises:
        ConfigError: there is an earlier run, and no leave to replace it.
    """
    checkpoints = sorted((config.out / "checkpoints").glob("*.ckpt"))
    if checkpoints and not config.overwrite:
        raise ConfigError(
            f"{config.out} holds a run already ({checkpoints[0].name}); choose another --out, or give --overwrite true."
        )
    patterns = (
        "metrics.csv",
        "evaluation*.json",
        "tensorboard/events.out.tfevents.*",
        "faults.jsonl",
        "report/*.png",
        "report/*.html",
        "untrained.safetensors",
    )
    return [*checkpoints, *(path for pattern in patterns for path in config.out.glob(pattern))]


def _open_run(config: TrainConfig, earlier: list[Path], parameters: dict[str, int]) -> None:
    """Make the run folder, remove what an earlier run left in it, record settings, versions and sizes."""
    make_folder(config.out)
    for path in earlier:
        if path != config.init:
            path.unlink(missing_ok=True)
    write_bytes(config.out / "config.yaml", yaml.safe_dump(plain(config), sort_keys=False).encode())
    write_json(config.out / "versions.json", describe() | {"seed": config.seed})
    write_json(config.out / "parameters.json", parameters)
    say("\n".join(f"{name:28s} {count:>12,} parameters" for name, count in parameters.items()))


def _remove_halves(out: Path) -> None:
    """Of checkpoints that were being written when the run was killed."""
    for path in (out / "checkpoints").glob(".*.ckpt.*"):
        path.unlink(missing_ok=True)


def _tell_absent(data: DataModule) -> None:
    """What is missing and may be: said once, so that nobody finds out a week later."""
    scans = data.train_set
    if scans.frames.absent:
        say(f"training on the sequences that are there; {', '.join(scans.frames.absent)} are not in the data set")
    if scans.frames.cameras and scans.without_images:
        say(f"{scans.without_images} training scans have no image and train the student alone")
    if scans.unlabelled:
        say(f"{len(scans.labelled)} training scans show their labels, {len(scans.unlabelled)} do not")
    if scans.dense.folders:
        say(f"{scans.dense_images} images of {len(scans.labelled)} labelled training scans have dense labels")
    if scans.augment.cutmix.objects and not scans.has_objects:
        say("no training scan that was looked at has instance ids, so cutmix finds no object to paste there")


def initial_student(config: TrainConfig) -> SPVCNN:
    """New weights, or those of ``config.init``, which must be of the configured shape."""
    if config.init is None:
        return SPVCNN.from_config(config.student)
    student = load_student(config.init)
    if student.config != config.student:
        raise ConfigError(
            f"{config.init} holds a student of {student.config}, but the run is configured for {config.student}; "
            "set the student.* keys to those of the checkpoint."
        )
    return student.train()


def loss_weights(config: TrainConfig, data: DataModule) -> Tensor | None:
    match config.loss.class_weights:
        case "semantickitti":
            return class_weights(POINT_COUNTS)
        case "data":
            return class_weights(data.point_counts())
        case "none":
            return None


def _trainer(config: TrainConfig, callbacks: list[L.Callback], progress: bool, *, step: int) -> L.Trainer:
    """``step``: where a run that is resumed goes on."""
    devices, machines = sizes(config.devices)
    return build_trainer(
        callbacks=callbacks,
        progress=progress,
        precision=config.precision,
        change="--accelerator or --devices",
        default_root_dir=config.out,
        **_length(config),
        accumulate_grad_batches=config.accumulate,
        limit_val_batches=0 if config.data.val_sequences == "none" else None,
        use_distributed_sampler=False,  # the data module shares out the scans itself, validation without padding
        accelerator=config.accelerator,
        devices=devices,
        num_nodes=machines,
        deterministic=config.deterministic,
        plugins=[AtomicCheckpointIO(), *own_requeue()],
        logger=[
            MetricsFile(config.out, step=step),
            TensorBoardLogger(config.out, name="", version="tensorboard", purge_step=step or None),
        ],
        log_every_n_steps=min(5, config.steps or 5),
    )


def _length(config: TrainConfig) -> dict[str, Any]:
    """How long, and when to validate, in Lightning's words. Steps are one epoch to it, and it counts in batches."""
    if config.steps is None:
        return {"max_epochs": config.epochs, "check_val_every_n_epoch": config.val_every or 1}
    return {"max_epochs": 1, "val_check_interval": (config.val_every or config.steps) * config.accumulate}
