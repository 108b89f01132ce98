"""Teacher: an adapted foundation model, a tap and a head per student stage, and a multi-stage head."""

from pathlib import Path
from typing import Any

from torch import Tensor

from elite.batches import Pixels, TeacherOutput
from elite.config import StudentConfig, TeacherConfig, from_plain
from elite.errors import CheckpointError, ConfigError
from elite.shapes import Float, UInt8
from elite.teacher.adapters import Adapter, adapt
from elite.teacher.backbone import Backbone
from elite.teacher.heads import TeacherHeads
from elite.teacher.qkv import split_qkv
from elite.teacher.sampling import sample
from elite.teacher.tensor_file import pack, unpack
from elite.teacher.weights import load_backbone
from elite.weights.torch_file import check_numbers, is_state_dict, open_torch

HEADS_FILE = "teacher.safetensors"  # trained taps and heads, in the folder of their foundation model
HEADS_FORMAT = "elite-heads-1"


class Teacher(TeacherHeads):
    """Compute logits at pixels of images, for patch-to-point distillation.

    Attributes:
        backbone: foundation model.
        adapter: adaptation of the foundation model; None if the caller manages its training.
        random: whether the foundation model has random initial weights.
    """

    def __init__(
        self,
        backbone: Backbone,
        adapter: Adapter | None = None,
        *,
        channels: int = 96,
        classes: int = 20,
        random: bool = False,
    ) -> None:
        super().__init__(backbone, channels=channels, classes=classes)
        self.random = random
        self.backbone = backbone
        self.adapter = adapter

    @classmethod
    def build(cls, config: TeacherConfig, *, stages: int, classes: int, total_steps: int | None) -> "Teacher":
        """Build the teacher of a run of ``total_steps`` optimiser steps, with the weights of its foundation model.

        Raises:
            ConfigError, CheckpointError: as ``load_backbone`` and ``adapt``.
        """
        backbone = load_backbone(config, stages)
        if config.adapter.method not in ("full", "frozen"):
            split_qkv(backbone.model)
        adapter = adapt(
            backbone.model,
            backbone.blocks,
            config.adapter,
            total_steps=total_steps,
            in_use=backbone.parameters_in_use(),
        )
        if config.checkpointing:
            backbone.checkpoint_activations()
        teacher = cls(backbone, adapter, channels=config.channels, classes=classes, random=config.weights == "random")
        if config.heads == "pretrained":
            teacher.load_heads(Path(str(config.weights)) / HEADS_FILE)
        return teacher

    def load_heads(self, path: Path) -> None:
        """Load taps and heads that ``elite train-teacher`` trained on class labels.

        Raises:
            CheckpointError: the file is missing, or its settings or shapes differ from this teacher.
        """
        remedy = "Give a folder of 'elite train-teacher --objective classes', or use --teacher.heads new"
        with unpack(path, HEADS_FORMAT, expected="trained heads", remedy=remedy) as (tap_settings, file):
            for name, found in tap_settings.items():  # files of older versions have none
                present = self.tap_settings.get(name)
                if present != found:
                    raise CheckpointError(
                        f"{path}: expected heads trained with teacher.{name} {_as_text(present)}, found "
                        f"teacher.{name} {_as_text(found)}. Use that setting, or --teacher.heads new."
                    )
            expected = {name: v for name, v in self.state_dict().items() if not name.startswith("backbone.")}
            check_fit(expected, file.shapes, path)
            state = file.read()
        check_numbers(state, path)
        self.load_state_dict({**self.state_dict(), **state}, strict=True)

    def forward(self, images: UInt8[Tensor, "w 3 height width"]) -> tuple[Float[Tensor, "w c _ _"], ...]:
        """Compute the map of each tap, (w, 96, height / 4, width / 4), from RGB images in 0..255."""
        return tuple(tap(m) for tap, m in zip(self.taps, self.backbone(images), strict=True))

    def logits_at(
        self, maps: tuple[Float[Tensor, "w c _ _"], ...], pixels: Pixels, size: tuple[int, int]
    ) -> TeacherOutput:
        """Compute logits at ``pixels`` from the maps of images of ``size`` (rows, columns)."""
        return self.classify(sample(maps, pixels, size))

    def train(self, mode: bool = True) -> "Teacher":
        """Set the mode of taps and heads. The foundation model stays in eval mode, with frozen norms and dropout."""
        super().train(mode)
        self.backbone.eval()
        return self

    def summary(self) -> dict[str, int]:
        """Number of parameters by part, frozen or trained; the sum is that of the teacher."""
        trained = sum(p.numel() for p in self.backbone.parameters() if p.requires_grad)
        heads = [*self.heads, self.multi_stage]
        return {
            "foundation model, frozen": sum(p.numel() for p in self.backbone.parameters()) - trained,
            "foundation model, trained": trained,
            "teacher taps, trained": sum(p.numel() for p in self.taps.parameters()),
            "teacher heads, trained": sum(p.numel() for head in heads for p in head.parameters()),
        }

    def trained_state(self) -> dict[str, Tensor]:
        """State of the teacher in checkpoints, without the frozen weights of the foundation model."""
        frozen = self.frozen_names()
        return {name: value for name, value in self.state_dict().items() if name not in frozen}

    def frozen_names(self) -> set[str]:
        """Entries of the state_dict that training does not change and that are not random."""
        if self.random:
            return set()
        trained = {name for name, p in self.named_parameters() if p.requires_grad}
        return {name for name in self.state_dict() if name.startswith("backbone.")} - trained


def _as_text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def pack_heads(heads: TeacherHeads) -> bytes:
    """Bytes of a file with taps and heads, which ``Teacher.load_heads`` reads."""
    return pack(heads.state_dict(), HEADS_FORMAT, heads.tap_settings)


def load_teacher(path: Path) -> Teacher:
    """Load the teacher of a checkpoint of ``elite train``, in eval mode.

    The foundation model is read from the path in the settings of the run.

    Raises:
        CheckpointError: the file is unreadable, its run had no teacher, or its weights do not match.
        ConfigError: as ``Teacher.build``.
    """
    with open_torch(path) as file:
        try:
            config, state = file.content["elite_config"], file.content["state_dict"]
            settings = from_plain(TeacherConfig, config["teacher"])
            student = from_plain(StudentConfig, config["student"])
            record = file.content["elite_teacher"]
            total_steps, base = record["total_steps"], record["base"]
        except (KeyError, TypeError, ConfigError) as error:
            raise CheckpointError(
                f"{path}: expected a checkpoint with a teacher, found none ({error} is missing or invalid). Give a "
                "checkpoint of a run with --teacher.weights."
            ) from error
        if not is_state_dict(state) or not isinstance(total_steps, int | None):
            raise CheckpointError(
                f"{path}: expected weights and steps of a teacher, found damaged ones. Copy the file again."
            )
        stages = len(student.strides) - 1
        teacher = Teacher.build(settings, stages=stages, classes=student.classes, total_steps=total_steps)
        if teacher.adapter is not None and not teacher.random and teacher.adapter.base_hash() != base:
            raise CheckpointError(
                f"{path}: expected the foundation model of its training in '{settings.weights}', found another one. "
                "Restore the original file."
            )
        prefix = "distillation.teacher."
        shapes = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
        check_fit(teacher.trained_state(), shapes, path)
        trained = file.read(shapes)
    check_numbers(trained, path)
    load_trained(teacher, trained, path)
    return teacher.eval()


def load_trained(teacher: Teacher, state: dict[str, Tensor], source: object) -> None:
    """Load the trained weights into ``teacher``; its frozen weights stay as they are.

    Raises:
        CheckpointError: an entry is missing, unknown or of another shape.
    """
    check_fit(teacher.trained_state(), state, source)
    teacher.load_state_dict({**teacher.state_dict(), **state}, strict=True)


def check_fit(expected: dict[str, Tensor], found: dict[str, Tensor], source: object) -> None:
    """Check that both have the same entries with the same shapes.

    Raises:
        CheckpointError: an entry is missing, unknown or of another shape.
    """
    faults = sorted(expected.keys() ^ found.keys())
    faults += [name for name, value in expected.items() if name in found and found[name].shape != value.shape]
    if faults:
        raise CheckpointError(
            f"{source}: expected the weights of this teacher, found {len(faults)} that are missing, unknown or of "
            f"another shape, such as '{faults[0]}'. Use the foundation model and the settings it was trained with."
        )
