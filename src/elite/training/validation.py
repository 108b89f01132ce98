"""Score of a run on its validation scans."""

import math
from collections.abc import Iterable

import torch
from lightning.fabric import Fabric
from torch import Tensor, distributed, nn

from elite.batches import Batch
from elite.metrics import ScoreRule, score
from elite.training.confusion import Confusion, predicted_classes, summed
from elite.training.faults import FaultLog
from elite.training.module import TrainingModule


class Validation:
    """Scores the student, or its average, by the rule of the benchmark: every point of a scan counts.

    Points outside the volume get the prediction of their nearest neighbour inside. A teacher is scored on the pixels of
    visible points.
    """

    def __init__(self, fabric: Fabric, training: TrainingModule, faults: FaultLog, rule: ScoreRule) -> None:
        self.fabric, self.training, self.faults, self.rule = fabric, training, faults, rule

    def run(self, batches: Iterable[Batch], *, step: int) -> dict[str, float]:
        """Score the scans of all processes, which call it together after ``step`` optimiser steps.

        Returns:
            Metrics, which are NaN if a prediction is not finite: the argmax of NaN is a class too.
        """
        student, teacher = self._new_confusion(), self._new_confusion()
        non_finite = torch.zeros((), device=self.fabric.device, dtype=torch.int64)
        self._share_buffers()
        self.training.eval()
        with torch.inference_mode(), self.fabric.autocast():
            for batch in batches:
                batch = batch.to(self.fabric.device)
                non_finite = non_finite + self._score_student(student, batch)
                self._score_teacher(teacher, batch)
        self.training.train()
        non_finite_scans = int(summed(non_finite, self.fabric))
        return self._student_metrics(student, non_finite_scans, step) | self._teacher_metrics(teacher)

    def _share_buffers(self) -> None:
        """Give all processes the batch norm statistics of the first one, which are those of the checkpoints."""
        if self.fabric.world_size > 1:
            for buffer in self.training.buffers():
                distributed.broadcast(buffer, src=0)

    def _new_confusion(self) -> Confusion:
        return Confusion(self.training.student.config.classes)

    def _score_student(self, confusion: Confusion, batch: Batch) -> Tensor:
        """Add the predictions to ``confusion``. Returns whether a logit of the batch is not finite."""
        assert batch.point_to_row is not None
        assert batch.ground_truth is not None
        student: nn.Module = self.training.average or self.training.student
        logits = student(batch.points, batch.remission, batch.batch_index, batch.age).logits
        confusion.update(predicted_classes(logits)[batch.point_to_row], batch.ground_truth)
        return (~torch.isfinite(logits)).any()

    def _score_teacher(self, confusion: Confusion, batch: Batch) -> None:
        teacher, views = self.training.teacher, batch.views
        if teacher is not None and views is not None:
            teacher_logits = teacher.logits_at(teacher(views.images), views.pair_pixel, views.size).multi_stage
            confusion.update(predicted_classes(teacher_logits), batch.labels[views.pair_point])

    def _student_metrics(self, confusion: Confusion, non_finite_scans: int, step: int) -> dict[str, float]:
        if non_finite_scans:
            self.faults.record_invalid_score(non_finite_scans, step, report=self.fabric.is_global_zero)
        result = score(confusion.total(self.fabric).numpy(), self.rule)
        factor = math.nan if non_finite_scans else 1.0
        return {
            "val/miou": factor * result.miou,
            "val/miou_present": factor * result.miou_present,
            "val/accuracy": factor * result.accuracy,
        }

    def _teacher_metrics(self, confusion: Confusion) -> dict[str, float]:
        """Empty without a teacher, or if no validation scan has an image."""
        if self.training.teacher is None:
            return {}
        result = score(confusion.total(self.fabric).numpy(), self.rule)
        if not result.present:
            return {}
        return {"val/teacher_miou": result.miou, "val/teacher_miou_present": result.miou_present}
