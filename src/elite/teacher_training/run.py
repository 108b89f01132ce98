"""Training of a vision foundation model from random weights, on images only.

``objectives`` holds the losses, ``folder`` the written model.
"""

import signal
from dataclasses import dataclass, replace
from pathlib import Path

from lightning.fabric import Fabric, seed_everything

from elite.config import TeacherConfig, TeacherTrainingConfig, plain
from elite.data.loading import check_shared_memory
from elite.environment import describe
from elite.errors import ConfigError
from elite.files import make_folder
from elite.processes import process_counts
from elite.signals import Terminated
from elite.stopping import Stopping
from elite.teacher.weights import load_backbone
from elite.teacher_training.folder import check_out, save_model, transformers_model
from elite.teacher_training.images import Images
from elite.teacher_training.loop import score_backbone, train_backbone
from elite.teacher_training.module import TeacherTraining
from elite.training.failures import named_errors
from elite.training.launch import build_fabric, launch
from elite.training.progress import Progress
from elite.training.run_lock import RunLock

_STAGES = 4


@dataclass(frozen=True)
class TeacherTrainingResult:
    """Model folder and scores: means over the last tenth of the steps, and ``val/...`` on held-out images."""

    folder: Path
    scores: dict[str, float]


def train_teacher(config: TeacherTrainingConfig, *, progress: bool = True) -> TeacherTrainingResult:
    """Train a foundation model and write it to ``config.out`` in one move at the end.

    Raises:
        ConfigError, DataError, OutputError: before the first step, if something does not fit.
        DataError: later too, at the first damaged image, or if no batch comes within ``data.timeout``.
        TrainingError: a loader process was killed, or cannot hand over its batches.
        ConfigError: the loss is not finite.
        Terminated: a signal arrived; nothing is written.
        KeyboardInterrupt: SIGINT; nothing is written.
    """
    stopping = Stopping()
    try:
        with stopping.listening():
            return _train(replace(config, out=config.out.resolve()), progress, stopping)
    except Terminated as error:
        if error.number == signal.SIGINT:
            raise KeyboardInterrupt from error
        raise


def _train(config: TeacherTrainingConfig, progress: bool, stopping: Stopping) -> TeacherTrainingResult:
    if process_counts(1) != (1, 1):
        raise ConfigError("train-teacher trains in one process, found several. Start it without torchrun or srun.")
    check_out(config.out, overwrite=config.overwrite)
    seed_everything(config.seed, workers=True, verbose=False)
    data = Images(config, stopping)
    backbone = load_backbone(TeacherConfig(weights="random", model=config.model), _STAGES)
    backbone.check_size(*config.image.crop)
    model = transformers_model(backbone)
    training = TeacherTraining(config, backbone, len(data.train_set.frames.taxonomy))
    check_shared_memory(data.read_startup_samples())
    make_folder(config.out.parent)
    fabric = build_fabric(accelerator=config.accelerator, devices=1, precision=config.precision, flags="--accelerator")
    with RunLock(config.out, config.out.with_name(f".{config.out.name}.lock")) as lock:
        lock.acquire()
        check_out(config.out, overwrite=config.overwrite)  # another run may have ended meanwhile
        with named_errors(processes=1):
            scores = _fit(fabric, training, data, progress)
        record = {"settings": plain(config), "images": len(data.train_set), "scores": scores, "versions": describe()}
        save_model(model, config.out, record, training.objective.teacher if config.objective == "classes" else None)
    return TeacherTrainingResult(config.out, scores)


def _fit(fabric: Fabric, training: TeacherTraining, data: Images, enabled: bool) -> dict[str, float]:
    launch(fabric)
    data.assign_process(fabric.global_rank, fabric.world_size, fabric.device.type)
    progress = Progress(training.config.steps, enabled=enabled)
    try:
        training.to(fabric.device)
        scores = train_backbone(fabric, training, data.train_dataloader(), progress)
        return scores | score_backbone(fabric, training, data.val_dataloader())
    finally:
        data.close()
        progress.close()
