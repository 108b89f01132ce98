"""Training run, from its configuration to the files in its run folder.

::

    OUT/config.yaml  versions.json      settings and versions, for repeating the run
        parameters.json                 number of parameters, by part
        metrics.csv  tensorboard/       curves
        checkpoints/best.ckpt last.ckpt
        faults.jsonl                    unreadable frames and skipped steps, if any
"""

import signal
from dataclasses import dataclass, replace
from pathlib import Path

from lightning.fabric import Fabric, seed_everything

from elite.config import StudentConfig, TrainConfig
from elite.data.datamodule import DataModule
from elite.data.loading import check_shared_memory
from elite.data.unused_data import unused_data
from elite.datasets import resolved_cameras, taxonomy_of
from elite.errors import ConfigError, StoppedError, TrainingError
from elite.files import make_folder
from elite.packaged_students import is_packaged_student
from elite.paths import absolute, absolute_if_file
from elite.processes import is_first
from elite.sensor import packaged_sensors
from elite.signals import Terminated
from elite.sparse import resolve_backend
from elite.stopping import Stopping
from elite.taxonomy import packaged_taxonomies
from elite.terminal import notice, say
from elite.training.build import build_plan, build_training, summary
from elite.training.checkpoint import CheckpointLayout
from elite.training.failures import named_errors
from elite.training.faults import FaultLog
from elite.training.grid import with_grid
from elite.training.launch import build_fabric, launch, processes_here, require_deterministic
from elite.training.loop import TrainingLoop
from elite.training.metrics_log import MetricsLog
from elite.training.module import TrainingModule
from elite.training.progress import OnStep, Progress
from elite.training.random_state import restore_random_state
from elite.training.resume import DataSummary, ResumePoint, check_data, check_domain, checkpoint_to_resume, summarise
from elite.training.run_folder import check_folder, lock_path, open_folder, remove_partial_output
from elite.training.run_lock import RunLock
from elite.training.saving import CheckpointFiles
from elite.training.step import OptimizerStep
from elite.training.validation import Validation
from elite.weights.torch_file import load_torch


@dataclass(frozen=True)
class TrainingResult:
    """Checkpoints of a run and its best validation mIoU.

    Without validation, the mIoU is None and the best checkpoint is the last one.
    """

    best: Path
    last: Path
    miou: float | None


def train(config: TrainConfig, *, progress: bool = True, on_step: OnStep | None = None) -> TrainingResult:
    """Train the student, with a teacher unless ``config.teacher.weights`` is none.

    Args:
        config: settings.
        progress: whether to show the progress on the terminal.
        on_step: called after each completed step with the number of completed steps, that of all steps, and the latest
            value of each metric (the names are those in metrics.csv): of the first step of this call, then of each row
            of metrics.csv.

    Raises:
        ConfigError, CheckpointError, OutputError: a check before the first step failed.
        DataError: a check of the data failed, more frames are damaged than ``config.faults`` allows, or no batch
            arrived within ``config.data.timeout``.
        TrainingError: too many consecutive steps were not finite, the result is not usable, or a process has ended.
        StoppedError: SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2 arrived. A checkpoint to resume from has been saved.
        KeyboardInterrupt: SIGINT arrived. A checkpoint to resume from has been saved.
    """
    run = _Run(with_grid(_with_inputs_and_classes(_with_cameras(_with_absolute_paths(config)))), progress, on_step)
    try:
        with run.stopping.listening(), RunLock(config.out, lock_path(config.out)) as lock:
            return run.execute(lock)
    except Terminated as error:
        message = f"stopped by {signal.Signals(error.number).name} {run.describe_saved()}"
        if error.number == signal.SIGINT:
            say(message, error=True)
            raise KeyboardInterrupt from error
        raise StoppedError(message) from error


class _Run:
    """One call of ``train``."""

    def __init__(self, config: TrainConfig, progress: bool, on_step: OnStep | None) -> None:
        self.config, self.progress, self.on_step, self.stopping = config, progress, on_step, Stopping()
        self.files = CheckpointFiles(config.out / "checkpoints")
        self.resume_point: ResumePoint | None = None
        self.has_begun = False
        self.updates = 0  # steps that changed the weights

    def execute(self, lock: RunLock) -> TrainingResult:
        """Check everything, open the run folder, and train."""
        config, first = self.config, is_first()
        if first and config.out.is_dir():
            lock.acquire()  # before the newest checkpoint is searched
        self.resume_point = checkpoint_to_resume(config)
        if first:
            check_folder(config, self.resume_point)
        seed_everything(config.seed, workers=True, verbose=False)
        require_deterministic(config.deterministic)
        data = DataModule(config, self.stopping)
        data_summary = summarise(data.ids())
        bytes_in_flight = self._check_data(data, data_summary)
        fabric = build_fabric(
            accelerator=config.accelerator,
            devices=config.devices,
            precision=config.precision,
            flags="--accelerator or --devices",
        )
        data.check_processes(fabric.world_size)
        check_shared_memory(bytes_in_flight * processes_here(fabric, config.devices))
        resolve_backend(config.backend, fabric.strategy.root_device)  # refuses one that is not available
        training = build_training(config, data, fabric.world_size)
        self.has_begun = True  # not before all checks have passed
        make_folder(config.out)
        if first:
            self._open(lock, summary(training))
        faults = FaultLog(config.faults, data.train_set.frame_count, config.out / "faults.jsonl")
        with named_errors(fabric.world_size):
            launch(fabric)
            data.assign_process(fabric.global_rank, fabric.world_size, fabric.device.type)
            self._train(fabric, data, data_summary, training, faults)
        return self._result(training, faults)

    def describe_saved(self) -> str:
        """Describe the files that a stopped run has left."""
        if self.files.saved_step is not None:
            return f"after step {self.files.saved_step}; saved in {self.files.last}. Resume with --resume last."
        if self.resume_point is not None:
            path = self.resume_point.path
            return f"before its next checkpoint; {path} is the last one. Resume with the same command."
        if self.has_begun:
            return "before its first checkpoint. Use --resume last to start from the beginning."
        return "before it began; nothing was written."

    def _check_data(self, data: DataModule, data_summary: DataSummary) -> int:
        """Report doubtful data and refuse unusable data. Returns bytes of shared memory that the loaders need."""
        if is_first():
            for line in unused_data(data.train_set, data.val_set):
                say(line)
            data.examine(notice)
        if self.resume_point is not None:
            check_domain(self.resume_point, data.frames.taxonomy, data.frames.sensor)
            check_data(self.resume_point, data_summary, allow_other=self.config.allow_other_data)
        return data.read_startup_samples()

    def _open(self, lock: RunLock, parameters: dict[str, int]) -> None:
        """Lock and prepare the run folder, and read the best score of a resumed run."""
        resume_point = self.resume_point
        lock.acquire()
        check_folder(self.config, resume_point)  # another run may have begun meanwhile
        if resume_point is None or not resume_point.is_in(self.config.out):
            open_folder(self.config, resume_point, parameters)
            say("\n".join(f"{name:28s} {count:>12,} parameters" for name, count in parameters.items()))
        remove_partial_output(self.config.out)
        if resume_point is not None and resume_point.best is not None:
            self._restore_best(resume_point.best)

    def _restore_best(self, score: float) -> None:
        if self.files.best.exists():
            self.files.best_score = score
        else:
            say(f"{self.files.best} is missing, so the best score starts again with the next validation")

    def _train(
        self,
        fabric: Fabric,
        data: DataModule,
        data_summary: DataSummary,
        training: TrainingModule,
        faults: FaultLog,
    ) -> None:
        """Build the loop, restore the checkpoint if the run resumes, and run it."""
        config, resume_point, plan = self.config, self.resume_point, build_plan(self.config, data)
        self.files.best_score = fabric.broadcast(self.files.best_score)  # the first process has read it
        step = OptimizerStep(fabric, training, faults, steps_per_epoch=data.steps_per_epoch(fabric.world_size))
        layout = CheckpointLayout(step, data_summary)
        begun = 0 if resume_point is None else resume_point.step
        first = fabric.is_global_zero
        on_step = self.on_step if first else None
        progress = Progress(plan.total_steps, done=begun, enabled=self.progress and first, on_step=on_step)
        log = MetricsLog(config.out, progress, step=begun, writes=first)
        validation = Validation(fabric, training, faults, data.frames.rule)
        loop = TrainingLoop(plan, data, step, validation, layout, self.files, log, self.stopping)
        if resume_point is not None:
            checkpoint = load_torch(resume_point.path)
            loop.batches = layout.restore(checkpoint)
            restore_random_state(checkpoint["elite_progress"]["random"], fabric.device)
        loop.run()
        training.scheduled_steps = step.scheduled_steps
        self.updates = step.updates

    def _result(self, training: TrainingModule, faults: FaultLog) -> TrainingResult:
        faults.check_end(self.updates, training.total_steps)
        skipped = faults.summary(training.total_steps)
        if self.files.best_score is None and faults.lost_scores:
            raise TrainingError(
                f"validation: expected finite predictions, found none, so a best checkpoint does not exist; {skipped}. "
                "Lower --optim.lr, and start a new run."
            )
        if faults.skipped:
            say(f"{skipped}; {self.config.out / 'faults.jsonl'} lists them")
        best = self.files.last if self.files.best_score is None else self.files.best
        return TrainingResult(best, self.files.last, self.files.best_score)


def _with_inputs_and_classes(config: TrainConfig) -> TrainConfig:
    """Settings with the number of past scans and of classes of the data.

    Raises:
        ConfigError: other numbers were set for the student.
    """
    data = config.data
    if data.root is None:
        return config  # refused later
    taxonomy = taxonomy_of(data.root, data.format, data.taxonomy, data.sensor)
    if config.student.classes not in (StudentConfig.classes, len(taxonomy)):
        raise ConfigError(
            f"student.classes: expected {len(taxonomy)}, the classes of {taxonomy.name} with the ignored one, found "
            f"{config.student.classes}. Remove --student.classes."
        )
    past = data.past_scans
    if config.student.past_scans not in (0, past):
        raise ConfigError(
            f"student.past_scans: expected {past}, as data.past_scans, found {config.student.past_scans}. Give "
            "--data.past-scans only."
        )
    return replace(config, student=replace(config.student, classes=len(taxonomy), past_scans=past))


def _with_cameras(config: TrainConfig) -> TrainConfig:
    """Settings whose default camera is all cameras of a data set that lacks it."""
    data = config.data
    if data.root is None:
        return config  # refused later
    return replace(config, data=replace(data, cameras=resolved_cameras(data.cameras, data.root, data.format)))


def _with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """Settings that do not depend on the working folder, except for the output."""
    data, teacher = config.data, config.teacher
    taxonomy = absolute_if_file(data.taxonomy, packaged_taxonomies())
    sensor = absolute_if_file(data.sensor, packaged_sensors())
    is_path = len(Path(teacher.model).parts) > 1  # otherwise it may be the name of an architecture
    return replace(
        config,
        data=replace(data, root=absolute(data.root), derived=absolute(data.derived), taxonomy=taxonomy, sensor=sensor),
        init=config.init if config.init is not None and is_packaged_student(config.init) else absolute(config.init),
        teacher=replace(
            teacher,
            weights=absolute_if_file(teacher.weights, ("none", "random")),
            model=absolute_if_file(teacher.model) if is_path else teacher.model,
        ),
    )
