"""Trained module of a run: the student, its losses, and the terms that a teacher adds."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from elite.batches import Batch, StudentOutput
from elite.config import TrainConfig
from elite.losses import cross_entropy, lovasz_softmax
from elite.shapes import Float, Int64
from elite.student import SPVCNN
from elite.training.average import build_average
from elite.training.confusion import predicted_classes
from elite.training.distillation import Distillation
from elite.training.parts import freeze
from elite.training.self_training import rotated_probabilities, select_pseudo_labels

if TYPE_CHECKING:  # its libraries are required only with a teacher
    from elite.teacher import Teacher


@dataclass(frozen=True)
class StepOutput:
    """Weighted loss terms of a batch, and the predicted class of each point."""

    terms: dict[str, Tensor]
    prediction: Int64[Tensor, "n"]


class TrainingModule(nn.Module):
    """The student under supervision (cross entropy + Lovasz per point), and the terms of ``distillation``.

    Attributes:
        scheduled_steps: optimiser steps before the current one, skipped steps included.
        average: moving average of the student; None without ``optim.average``.
        total_steps: optimiser steps of the run. The schedules of learning rates and ranks depend on it.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        config: TrainConfig,
        student: SPVCNN,
        weights: Float[Tensor, "classes"] | None,
        *,
        total_steps: int,
        distillation: Distillation | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.student = student
        self._frozen = freeze(student, config.freeze)
        self.average = build_average(student, config.optim.average) if config.optim.average else None
        self.distillation = distillation
        self.total_steps = total_steps
        self.scheduled_steps = 0
        self.register_buffer("class_weights", weights, persistent=False)
        self.train()

    @property
    def teacher(self) -> "Teacher | None":
        return None if self.distillation is None else self.distillation.teacher

    def train(self, mode: bool = True) -> "TrainingModule":
        """Set the mode. Batch norms of frozen parts and of the average never update their statistics."""
        super().train(mode)
        for part in (*self._frozen, *([self.average] if self.average else [])):
            part.eval()
        return self

    def forward(self, batch: Batch) -> StepOutput:
        """Compute the loss terms of a training batch."""
        output: StudentOutput = self.student(batch.points, batch.remission, batch.batch_index, batch.age)
        return StepOutput(self.losses(output, batch), predicted_classes(output.logits))

    def losses(self, output: StudentOutput, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of the loss. Training minimises their sum."""
        terms = self._supervised_terms(output.logits, batch.labels)
        if self.distillation is not None:
            terms |= self.distillation(output, batch, self.class_weights)
        if self.average is not None and self.scheduled_steps >= self._self_training_start():
            terms |= self._self_training_terms(self.average, output, batch)
        return terms

    def after_optimizer_step(self, updates: int) -> None:
        """Allocate adapter ranks and update the average after ``updates`` optimiser steps, skipped ones excluded.

        The gradients of the step must still be present.
        """
        if self.teacher is not None and self.teacher.adapter is not None:
            self.teacher.adapter.allocate(updates)
        if self.average is not None:
            self.average.update_parameters(self.student)

    def _supervised_terms(self, logits: Float[Tensor, "n classes"], labels: Int64[Tensor, "n"]) -> dict[str, Tensor]:
        return {
            "cross_entropy": cross_entropy(logits, labels, self.class_weights),
            "lovasz": self.config.loss.lovasz * lovasz_softmax(logits, labels),
        }

    def _self_training_start(self) -> float:
        settings = self.config.self_training
        return settings.start * self.total_steps if settings.weight > 0 else math.inf

    def _self_training_terms(self, average: AveragedModel, output: StudentOutput, batch: Batch) -> dict[str, Tensor]:
        """Supervised terms against the average's confident predictions for unlabelled points."""
        settings = self.config.self_training
        probabilities = rotated_probabilities(average, batch, settings.views)
        logits, truth = batch.present(output.logits), batch.present(batch.labels)
        labels = select_pseudo_labels(batch.present(probabilities), truth, settings.confidence)
        terms: Any = self._supervised_terms(logits, labels)
        return {f"self_training/{name}": settings.weight * term for name, term in terms.items()}
