"""Patch-to-point multi-stage distillation (PPMSKD): heads on the stages of the student, and the teacher."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from elite.batches import Batch, StageOutput, StudentOutput, TeacherOutput, Views
from elite.config import TrainConfig
from elite.errors import ConfigError
from elite.losses import dense_pixels, kl_divergence, labelled_pairs, segmentation_loss, voxel_majority
from elite.shapes import Float, Int64
from elite.sparse import gather_deterministic

if TYPE_CHECKING:  # its libraries are required only with a teacher
    from elite.teacher import Teacher


class Distillation(nn.Module):
    """Heads on the stages of the student, and a teacher whose logits they approximate.

    Without a teacher, only the student heads are trained. An exported student contains none of them.
    """

    def __init__(self, config: TrainConfig, teacher: "Teacher | None") -> None:
        super().__init__()
        student = config.student
        self.config = config.distill
        self.classes = student.classes
        count = len(student.strides) - 1
        selected = range(count) if config.distill.stages is None else config.distill.stages
        if max(selected) >= count:
            raise ConfigError(
                f"distill.stages: expected stages 0..{count - 1} of the student, found {config.distill.stages}. Remove "
                "the others."
            )
        self.selected_stages = frozenset(selected)
        self.student_heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(student.channels, 2 * student.channels),
                nn.ReLU(),
                nn.Linear(2 * student.channels, student.classes),
            )
            for _ in student.strides[1:]
        )
        self.teacher = teacher

    def forward(
        self, output: StudentOutput, batch: Batch, weights: Float[Tensor, "classes"] | None
    ) -> dict[str, Tensor]:
        """Weighted terms of the student heads, the teacher heads, the divergences between them, and the adapter."""
        voxel_logits = [head(s.feats) for head, s in zip(self.student_heads, output.stages, strict=True)]
        terms = self._student_terms(voxel_logits, output.stages, batch, weights)
        if self.teacher is None:
            return terms
        terms |= self._adapter_terms(self.teacher)
        if batch.views is None:
            return terms | {"no_image": zero_gradient_anchor(self.teacher)}
        maps = self.teacher(batch.views.images)
        labelled_logits, labels, at_pairs = self._teacher_logits(self.teacher, maps, batch.views, batch.labels)
        terms |= self._teacher_terms(labelled_logits, labels, weights)
        return terms | self._divergences(at_pairs, batch.views, voxel_logits, output)

    def _student_terms(
        self, voxel_logits: list[Tensor], stages: tuple[StageOutput, ...], batch: Batch, weights: Tensor | None
    ) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        point_labels = batch.present(batch.labels)
        for i, (logits, stage) in enumerate(zip(voxel_logits, stages, strict=True)):
            labels = voxel_majority(
                point_labels,
                batch.present(stage.point_to_voxel),
                len(logits),
                self.classes,
                count_ignored=self.config.voxel_majority == "all",
            )
            weight = self.config.student_heads if i in self.selected_stages else 0.0
            terms |= _weighted(f"student{i}", segmentation_loss(logits, labels, weights), weight)
        return terms

    def _teacher_logits(
        self, teacher: "Teacher", maps: tuple[Tensor, ...], views: Views, point_labels: Int64[Tensor, "n"]
    ) -> tuple[TeacherOutput, Int64[Tensor, "labelled"], TeacherOutput]:
        """Return (teacher logits at labelled pixels, their labels, teacher logits at the pairs).

        The labels are those of the points and, where available, the dense image labels. Pairs are evaluated once.
        """
        labelled, labels = labelled_pairs(views, point_labels, everywhere=self.config.dense_pairs)
        pixels, dense_labels = dense_pixels(views, self.config.dense_stride)
        # Labels give the teacher its gradient. Without any, the pairs keep its parameters in the graph.
        needs_gradients = len(labelled) > 0 or len(pixels) == 0
        with _gradients_if(needs_gradients, maps[0].device.type):
            at_pairs = teacher.logits_at(maps, views.pair_pixel, views.size)
        if len(pixels) == 0:
            return at_pairs.select(labelled), labels, at_pairs
        at_dense = teacher.logits_at(maps, pixels, views.size)
        if len(labelled) == 0:
            return at_dense, dense_labels, at_pairs
        return at_pairs.select(labelled).concat(at_dense), torch.cat([labels, dense_labels]), at_pairs

    def _teacher_terms(
        self, teacher_logits: TeacherOutput, labels: Tensor, weights: Tensor | None
    ) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        for i, logits in enumerate(teacher_logits.stages):
            weight = self._stage_share(i, self.config.teacher_heads)
            terms |= _weighted(f"teacher{i}", segmentation_loss(logits, labels, weights), weight)
        multi_stage = segmentation_loss(teacher_logits.multi_stage, labels, weights)
        return terms | _weighted("teacher", multi_stage, self.config.multi_stage)

    def _divergences(
        self, teacher_logits: TeacherOutput, views: Views, voxel_logits: list[Tensor], output: StudentOutput
    ) -> dict[str, Tensor]:
        """KL(teacher || student) at all pairs, also unlabelled ones. A point in view of two cameras counts twice."""
        if self.config.kl == self.config.logits == 0:
            return {}
        terms: dict[str, Tensor] = {}
        for i, (logits, stage) in enumerate(zip(voxel_logits, output.stages, strict=True)):
            paired = gather_deterministic(logits, stage.point_to_voxel[views.pair_point])
            divergence = kl_divergence(teacher_logits.stages[i], paired)
            terms[f"kl{i}"] = self._stage_share(i, self.config.kl) * divergence
        if self.config.logits > 0:
            paired = gather_deterministic(output.logits, views.pair_point)
            terms["kl"] = self.config.logits * kl_divergence(teacher_logits.multi_stage, paired)
        return terms

    def _stage_share(self, i: int, total: float) -> float:
        """Weight of stage i if the selected stages share ``total`` equally.

        The other stages have terms of weight 0, because several processes require a gradient of each parameter.
        """
        return total / len(self.selected_stages) if i in self.selected_stages else 0.0

    def _adapter_terms(self, teacher: "Teacher") -> dict[str, Tensor]:
        if teacher.adapter is None or teacher.adapter.config.method != "adalora":
            return {}
        return {"orthogonality": teacher.adapter.config.orthogonality * teacher.adapter.orthogonality()}


def _weighted(name: str, losses: tuple[Tensor, Tensor], weight: float) -> dict[str, Tensor]:
    cross_entropy, lovasz = losses
    return {f"{name}/cross_entropy": weight * cross_entropy, f"{name}/lovasz": weight * lovasz}


@contextmanager
def _gradients_if(wanted: bool, device_type: str) -> Iterator[None]:
    """Record a graph for gradients only if ``wanted``.

    Otherwise autocast also must not cache 16-bit copies of weights: older versions of torch would use these copies,
    which have no gradient, for the rest of the step (https://github.com/pytorch/pytorch/issues/112583).
    """
    with (
        torch.set_grad_enabled(wanted and torch.is_grad_enabled()),
        torch.autocast(
            device_type,
            torch.get_autocast_dtype(device_type),
            enabled=torch.is_autocast_enabled(device_type),
            cache_enabled=wanted and torch.is_autocast_cache_enabled(),
        ),
    ):
        yield


def zero_gradient_anchor(module: nn.Module) -> Tensor:
    """Zero with a zero gradient for every trained parameter, which lets a batch without images join a shared step."""
    return torch.stack([p.sum() for p in module.parameters() if p.requires_grad]).sum() * 0
