"""A training run from its configuration: data, student, trainer, and what is left in the run folder.

::

    OUT/config.yaml  versions.json      everything needed to run it again
        parameters.json                 how many, by part
        metrics.csv  tensorboard/       curves
        checkpoints/best.ckpt last.ckpt
        faults.jsonl                    frames that could not be read, steps that were left out; if there were any
"""

import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from elite.config import TrainConfig
from elite.data.datamodule import DataModule
from elite.data.loading import check_shared_memory
from elite.data.unused_data import unused_data
from elite.errors import ConfigError, StoppedError, TrainingError, require_extra
from elite.files import make_folder
from elite.labels import NUM_CLASSES, POINT_COUNTS
from elite.losses import class_weights
from elite.processes import is_first, sizes
from elite.signals import Terminated
from elite.sparse import resolve_backend
from elite.stopping import Stopping
from elite.student import SPVCNN, load_student
from elite.terminal import notice, say
from elite.training.callbacks import AtomicCheckpointIO, BestCheckpoint, LastCheckpoint, StopSignal, Throughput
from elite.training.distillation import Distillation
from elite.training.faults import FaultLog
from elite.training.metrics_file import MetricsFile
from elite.training.module import Training
from elite.training.resume import ResumePoint, check_data, checkpoint_to_resume, summarise
from elite.training.run_folder import check_folder, lock_path, open_folder, remove_halves
from elite.training.run_lock import RunLock
from elite.training.trainer import build_trainer, fit, quiet


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
        DataError: the same, or later, when more frames are damaged than ``config.faults`` allows, or no batch comes
            within ``config.data.timeout``.
        TrainingError: too many steps in a row without finite numbers, no usable result, or a process is gone.
        StoppedError: a signal asked it to stop (SIGTERM, SIGHUP, SIGUSR1, SIGUSR2); what is needed to resume is saved.
        KeyboardInterrupt: the same by SIGINT.
    """
    if config.student.classes != NUM_CLASSES:
        raise ConfigError(f"student.classes must be {NUM_CLASSES} for SemanticKITTI, found {config.student.classes}.")
    run = _Run(_with_absolute_paths(config), progress)
    try:
        with run.stopping.listening(), RunLock(config.out, lock_path(config.out)) as lock:
            return run.execute(lock)
    except Terminated as error:
        message = f"stopped by {signal.Signals(error.number).name} {run.saved()}"
        if error.number == signal.SIGINT:
            say(message, error=True)
            raise KeyboardInterrupt from error
        raise StoppedError(message) from error


class _Run:
    """One call of ``train``."""

    def __init__(self, config: TrainConfig, progress: bool) -> None:
        self.config, self.progress, self.stopping = config, progress, Stopping()
        folder = config.out / "checkpoints"
        self.best = BestCheckpoint(folder / "best.ckpt")
        self.last = LastCheckpoint(folder / "last.ckpt", config.save_every)
        self.point: ResumePoint | None = None
        self.begun = False

    def execute(self, lock: RunLock) -> TrainingResult:
        config, first = self.config, is_first()
        if first and config.out.is_dir():
            lock.acquire()  # before the newest checkpoint is looked for
        point = self.point = checkpoint_to_resume(config)
        if first:
            check_folder(config, point)
        L.seed_everything(config.seed, workers=True, verbose=False)
        data = DataModule(config, self.stopping)
        if first:
            for line in unused_data(data.train_set, data.val_set):
                say(line)
            data.examine(notice)
        if point is not None:
            check_data(point, summarise(data.ids()), allow_other=config.allow_other_data)
        in_flight = data.look()
        with quiet():
            trainer = _trainer(config, self._callbacks(data), self.progress, step=point.step if point else 0)
            data.check_processes(trainer.world_size)
            check_shared_memory(in_flight * trainer.num_devices)
            resolve_backend(config.backend, trainer.strategy.root_device)
            module = _module(config, data, trainer.world_size)
            self.begun = True  # not before everything else has been found to fit
            make_folder(config.out)
            if first:
                self._open(lock, point, summary(module))
            fit(trainer, module, data, point.path if point else None)
        return self._result(module)

    def saved(self) -> str:
        """What is left of a run that was stopped."""
        if self.last.step is not None:
            return f"after step {self.last.step}; saved in {self.last.path}. Resume with --resume last."
        if self.point is not None:
            return f"before its next checkpoint; {self.point.path} is the last one. Resume with the same command."
        if self.begun:
            return "before its first checkpoint. Use --resume last to start from the beginning."
        return "before it began; nothing was written."

    def _callbacks(self, data: DataModule) -> list[L.Callback]:
        saving = [self.last] if data.val_set is None else [self.best, self.last]
        return [*saving, StopSignal(self.last, self.stopping), Throughput(), LearningRateMonitor("step")]

    def _open(self, lock: RunLock, point: ResumePoint | None, parameters: dict[str, int]) -> None:
        lock.acquire()
        check_folder(self.config, point)  # another run may have begun meanwhile
        if point is None or not point.is_in(self.config.out):
            open_folder(self.config, point, parameters)
            say("\n".join(f"{name:28s} {count:>12,} parameters" for name, count in parameters.items()))
        remove_halves(self.config.out)
        if point is not None and point.best is not None:
            self._restore_best(point.best)

    def _restore_best(self, score: float) -> None:
        if self.best.path.exists():
            self.best.score = score
        else:
            say(f"{self.best.path} is missing, so the best score starts again with the next validation")

    def _result(self, module: Training) -> TrainingResult:
        module.faults.check_end(module.steps_taken, module.total_steps)
        skipped = module.faults.summary(module.total_steps)
        if self.best.score is None and module.faults.lost_scores:
            raise TrainingError(
                f"no validation had finite predictions, so no checkpoint is the best; {skipped}. Lower --optim.lr, "
                "and start again."
            )
        if module.faults.skipped:
            say(f"{skipped}; {self.config.out / 'faults.jsonl'} names them")
        best = self.last.path if self.best.score is None else self.best.path
        return TrainingResult(best, self.last.path, self.best.score)


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
        data=summarise(data.ids()),
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
        say(f"the teacher has RANDOM weights ({config.teacher.model}): good for trials only")
    return teacher


def summary(module: Training) -> dict[str, int]:
    """Parameters of everything that takes part, by part."""
    parts = {"student, trained": sum(p.numel() for p in module.student.parameters())}
    if module.distillation is not None:
        parts["student heads, trained"] = sum(p.numel() for p in module.distillation.student_heads.parameters())
    if module.teacher is not None:
        parts |= module.teacher.summary()
    return parts


def _with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """So that what is recorded means the same from any folder."""
    weights = config.teacher.weights
    if weights is None or not Path(weights).exists():
        return config
    return replace(config, teacher=replace(config.teacher, weights=str(Path(weights).resolve())))


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
    """``step``: where a run resumes."""
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
        enable_checkpointing=True,
        accelerator=config.accelerator,
        devices=devices,
        num_nodes=machines,
        deterministic=config.deterministic,
        plugins=[AtomicCheckpointIO()],
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
