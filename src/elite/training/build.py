"""Parts of a training run, built from its configuration."""

from typing import Any

from torch import Tensor

from elite.config import TrainConfig
from elite.data.datamodule import DataModule
from elite.errors import ConfigError, require_extra
from elite.layout import parse_names
from elite.losses import class_weights
from elite.processes import is_first
from elite.sensor import SensorSpec
from elite.student import SPVCNN, load_student
from elite.student.transfer import OUTPUT_LAYER, new_classes, transfer_to, with_past_scans, with_remission_gain
from elite.taxonomy import Taxonomy, require_equal_taxonomies
from elite.terminal import say
from elite.training.distillation import Distillation
from elite.training.module import TrainingModule
from elite.training.plan import Plan


def build_plan(config: TrainConfig, data: DataModule) -> Plan:
    """Plan of a run for the number of processes that was assigned to ``data``."""
    every = config.val_every or 1
    if config.steps is not None:
        validate_every = config.val_every or config.steps
    else:
        validate_every = every * data.steps_per_epoch(data.world)
    return Plan(
        epochs=config.epochs if config.steps is None else 1,
        batches_per_epoch=data.batches_per_epoch(data.world),
        total_steps=data.total_steps(data.world),
        accumulate=config.accumulate,
        validate_every=None if data.val_set is None else validate_every,
        save_every=config.save_every,
        log_every=min(5, config.steps or 5),
    )


def build_training(config: TrainConfig, data: DataModule, world: int) -> TrainingModule:
    """Student and teacher of a run. The student is built first, so that its weights do not depend on the teacher."""
    student = initial_student(config, data.frames.taxonomy, data.frames.sensor)
    student.backend, student.remission = config.backend, data.remission()
    total_steps = data.total_steps(world)
    teacher = _teacher(config, total_steps)
    wanted = teacher is not None or config.distill.student_heads > 0
    distillation = Distillation(config, teacher) if wanted else None
    return TrainingModule(
        config, student, loss_weights(config, data), total_steps=total_steps, distillation=distillation
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
        say(f"the teacher has RANDOM weights ({config.teacher.model}). Use it for trials only.")
    return teacher


def summary(training: TrainingModule) -> dict[str, int]:
    """Number of parameters, by part."""
    parts = {"student, trained": sum(p.numel() for p in training.student.parameters() if p.requires_grad)}
    if training.distillation is not None:
        parts["student heads, trained"] = sum(p.numel() for p in training.distillation.student_heads.parameters())
    if training.teacher is not None:
        parts |= training.teacher.summary()
    return parts


def initial_student(config: TrainConfig, taxonomy: Taxonomy, sensor: SensorSpec) -> SPVCNN:
    """Student with new weights, or with those of ``config.init``.

    Raises:
        ConfigError: the student of ``config.init`` has another shape, or other classes without
            ``config.init_classes`` = match; or ``config.freeze`` names an output layer with new classes.
    """
    if config.init is None:
        if is_first() and (frozen := parse_names(config.freeze)):
            say(f"{', '.join(frozen)}: frozen with random weights, since there is no --init")
        return SPVCNN.from_config(config.student, taxonomy, sensor)
    student, name = load_student(config.init), f"--init {config.init}"
    if config.init_classes == "match" and not student.taxonomy.matches(taxonomy):
        if is_first():
            say(f"{name}: {_describe_transfer(student.taxonomy, taxonomy)}")
        _require_trained_output(config.freeze, new_classes(student.taxonomy, taxonomy))
        student = transfer_to(student, taxonomy)
    remedy = "Give --init-classes match to keep all weights except those of classes with other names."
    require_equal_taxonomies(student.taxonomy, taxonomy, name, remedy)
    if student.config.past_scans != config.student.past_scans > 0:
        if is_first():
            say(f"{name}: {_describe_past(student.config.past_scans, config.student.past_scans)}")
        student = with_past_scans(student, config.student.past_scans)
    student = with_remission_gain(student, config.student.remission_gain)
    if student.config != config.student:
        raise ConfigError(
            f"{name}: expected a student of {config.student}, found {student.config}. Set the student.* keys to those "
            "of the checkpoint."
        )
    student.sensor = sensor
    return student.train()


def _describe_transfer(old: Taxonomy, new: Taxonomy) -> str:
    """Names of the classes that keep their output rows, and of those with new ones."""
    fresh = new_classes(old, new)
    kept = [name for name in new.names if name not in fresh]
    text = f"{len(kept)} classes of {old.name} taken over ({', '.join(kept)})"
    return f"{text}; {len(fresh)} new ({', '.join(fresh)})" if fresh else text


def _describe_past(old: int, new: int) -> str:
    if old:
        return f"a student with {old} past scans, trained further with {new}"
    return f"a student without past scans, trained further with {new}: the weights of its new input, the age, are 0"


def _require_trained_output(freeze: str, new: list[str]) -> None:
    """Raises ConfigError if the output layer has ``new`` classes, whose rows are random, and is frozen."""
    frozen = [part for part in parse_names(freeze) if f"{OUTPUT_LAYER}.".startswith(f"{part}.")]
    if frozen and new:
        raise ConfigError(
            f"freeze: expected parts whose weights --init contains, found {frozen[0]}, where those of new classes "
            f"({', '.join(new)}) are random. Freeze other parts."
        )


def loss_weights(config: TrainConfig, data: DataModule) -> Tensor | None:
    """Class weights of the losses; None = no weights."""
    match config.loss.class_weights:
        case "taxonomy" | "semantickitti":
            return class_weights(data.frames.taxonomy.point_counts or data.point_counts())
        case "data":
            return class_weights(data.point_counts())
        case "none":
            return None
