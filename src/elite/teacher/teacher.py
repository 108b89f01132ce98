"""The teacher: an adapted foundation model, a tap and a head per student stage, and a head on all stages."""

from pathlib import Path
from typing import Any

from jaxtyping import Float, UInt8
from torch import Tensor

from elite.config import StudentConfig, TeacherConfig, from_plain
from elite.errors import CheckpointError, ConfigError
from elite.teacher.adapters import Adapter, adapt
from elite.teacher.backbone import Backbone
from elite.teacher.heads import TeacherHeads
from elite.teacher.qkv import split_qkv
from elite.teacher.sampling import sample
from elite.teacher.tensor_file import pack, unpack
from elite.teacher.weights import load_backbone
from elite.types import Pixels, TeacherOutput
from elite.weights.torch_file import check_numbers, is_state_dict, open_torch

HEADS_FILE = "teacher.safetensors"  # beside a foundation model whose taps and heads are trained already
HEADS_FORMAT = "elite-heads-1"


class Teacher(TeacherHeads):
    """Images in, logits at pixels out: the camera side of patch-to-point distillation.

    Attributes:
        backbone: the foundation model.
        adapter: what of it is trained; None if the backbone is somebody else's business.
        random: the foundation model's weights came from no file.
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
        """The teacher of a run of ``total_steps`` optimiser steps, foundation weights loaded, ready to be trained.

        Raises:
            ConfigError, CheckpointError: as ``load_backbone`` and ``adapt`` do.
        """
        backbone = load_backbone(config, stages)
        if config.adapter.method not in ("full", "frozen"):
            split_qkv(backbone.model)
        adapter = adapt(
            backbone.model, backbone.blocks, config.adapter, total_steps=total_steps, reached=backbone.reached()
        )
        if config.checkpointing:
            backbone.recompute()
        teacher = cls(backbone, adapter, channels=config.channels, classes=classes, random=config.weights == "random")
        if config.heads == "pretrained":
            teacher.load_heads(Path(str(config.weights)) / HEADS_FILE)
        return teacher

    def load_heads(self, path: Path) -> None:
        """Taps and heads that ``elite train-teacher`` trained on class labels.

        Raises:
            CheckpointError: there are none, they belong to other maps, or they do not fit.
        """
        remedy = "teacher.heads pretrained needs a folder that 'elite train-teacher --objective classes' wrote"
        with unpack(path, HEADS_FORMAT, expected="trained heads", remedy=remedy) as (made_for, file):
            for name, theirs in made_for.items():  # none in files of older versions
                ours = self.made_for.get(name)
                if ours != theirs:
                    raise CheckpointError(
                        f"{path} was trained with teacher.{name} {_shown(theirs)}, this teacher has {_shown(ours)}: "
                        "its weights are of another shape or meaning. "
                        f"Set teacher.{name} alike, or teacher.heads to new."
                    )
            own = {name: v for name, v in self.state_dict().items() if not name.startswith("backbone.")}
            check_fit(own, file.shapes, path)
            state = file.read()
        check_numbers(state, path)
        self.load_state_dict({**self.state_dict(), **state}, strict=True)

    def forward(self, images: UInt8[Tensor, "w 3 height width"]) -> tuple[Float[Tensor, "w c _ _"], ...]:
        """The taps' maps, (w, 96, height / 4, width / 4) each, of RGB images in 0..255."""
        return tuple(tap(m) for tap, m in zip(self.taps, self.backbone(images), strict=True))

    def at(self, maps: tuple[Float[Tensor, "w c _ _"], ...], pixels: Pixels, size: tuple[int, int]) -> TeacherOutput:
        """Logits at ``pixels`` of the images of ``size`` that the maps were made of."""
        return self.answer(sample(maps, pixels, size))

    def train(self, mode: bool = True) -> "Teacher":
        """The foundation model stays in eval mode: its norms and dropout are part of what is frozen."""
        super().train(mode)
        self.backbone.eval()
        return self

    def summary(self) -> dict[str, int]:
        """Parameters by what becomes of them; their sum is the whole teacher."""
        trained = sum(p.numel() for p in self.backbone.parameters() if p.requires_grad)
        heads = [*self.heads, self.multi_stage]
        return {
            "foundation model, frozen": sum(p.numel() for p in self.backbone.parameters()) - trained,
            "foundation model, trained": trained,
            "taps, trained": sum(p.numel() for p in self.taps.parameters()),
            "heads, trained": sum(p.numel() for head in heads for p in head.parameters()),
        }

    def trained_state(self) -> dict[str, Tensor]:
        """What checkpoints hold of the teacher: not the frozen foundation model, which is on disk already."""
        frozen = self.frozen_names()
        return {name: value for name, value in self.state_dict().items() if name not in frozen}

    def frozen_names(self) -> set[str]:
        """Entries of the state_dict that neither training changes nor chance has made."""
        if self.random:
            return set()
        trained = {name for name, p in self.named_parameters() if p.requires_grad}
        return {name for name in self.state_dict() if name.startswith("backbone.")} - trained


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def pack_heads(heads: TeacherHeads) -> bytes:
    """Taps and heads as the bytes of a file that ``Teacher.load_heads`` reads."""
    return pack(heads.state_dict(), HEADS_FORMAT, heads.made_for)


def load_teacher(path: Path) -> Teacher:
    """The teacher of a checkpoint of ``elite train``, in eval mode.

    Its foundation model is read from where the run had it.

    Raises:
        CheckpointError: unreadable, of a run without a teacher, or its weights do not fit.
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
                f"{path} holds no teacher (no {error}). Give a checkpoint of a run with --teacher.weights."
            ) from error
        if not is_state_dict(state) or not isinstance(total_steps, int | None):
            raise CheckpointError(f"{path}: expected weights and steps of a teacher, found damage. Copy it again.")
        stages = len(student.strides) - 1
        teacher = Teacher.build(settings, stages=stages, classes=student.classes, total_steps=total_steps)
        if teacher.adapter is not None and not teacher.random and teacher.adapter.base_hash() != base:
            raise CheckpointError(
                f"{path}: the foundation model in '{settings.weights}' is not the one that this teacher was trained "
                "with any more. Put the old one back."
            )
        prefix = "distillation.teacher."
        shapes = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
        check_fit(teacher.trained_state(), shapes, path)
        trained = file.read(shapes)
    check_numbers(trained, path)
    load_trained(teacher, trained, path)
    return teacher.eval()


def load_trained(teacher: Teacher, state: dict[str, Tensor], source: object) -> None:
    """Copy what was trained into ``teacher``; the frozen rest is there already.

    Raises:
        CheckpointError: an entry is missing, unknown or of another shape.
    """
    check_fit(teacher.trained_state(), state, source)
    teacher.load_state_dict({**teacher.state_dict(), **state}, strict=True)


def check_fit(expected: dict[str, Tensor], found: dict[str, Tensor], source: object) -> None:
    """Raises CheckpointError unless both have the same entries of the same shapes."""
    faults = sorted(expected.keys() ^ found.keys())
    faults += [name for name, value in expected.items() if name in found and found[name].shape != value.shape]
    if faults:
        raise CheckpointError(
            f"{source}: {len(faults)} weights of the teacher are missing, unknown or of another shape, the first of "
            f"them '{faults[0]}'. Give the foundation model and the settings it was trained with."
        )
