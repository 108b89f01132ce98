"""One training step: batch -> student (and teacher) -> losses; and the score on validation scans."""

import math
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchmetrics import Metric, SumMetric

from elite.config import TrainConfig, plain
from elite.environment import describe
from elite.errors import CheckpointError
from elite.labels import NUM_CLASSES
from elite.losses import cross_entropy, lovasz_softmax
from elite.metrics import Score, score
from elite.student import SPVCNN
from elite.training.distillation import Distillation
from elite.training.faults import FaultLog, NormKeeper, sound
from elite.training.optim import build_optimizer, cosine
from elite.training.parts import freeze
from elite.training.random_state import RandomState, random_states, restore_random_state
from elite.training.self_training import missing_labels, turned_answers
from elite.types import Batch, StudentOutput

if TYPE_CHECKING:  # its libraries are needed only where there is a teacher
    from elite.teacher import Teacher

TEACHER = "distillation.teacher."  # where it is among the entries of a checkpoint


class Training(L.LightningModule):
    """The student under supervision (cross entropy + 0.1 Lovasz per point), and what ``distillation`` adds.

    ``total_steps`` are the optimiser steps of the whole run: the schedules of rates and ranks depend on it. ``faults``
    counts what goes wrong. ``data`` describes the training data, for checkpoints.

    A step whose loss or gradient is not finite is left out whole: weights, momentum, batch norm statistics, ranks and
    average stay as they were before its first batch.
    """

    def __init__(
        self,
        config: TrainConfig,
        student: SPVCNN,
        weights: Float[Tensor, "classes"] | None,
        *,
        total_steps: int,
        steps_per_epoch: int = 1,
        distillation: Distillation | None = None,
        faults: FaultLog | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.student = student
        self._frozen = freeze(student, config.freeze)
        self.average = averaged(student, config.optim.average) if config.optim.average else None
        self.distillation = distillation
        self.faults = faults or FaultLog(config.faults, 0, None)
        self.data = data or {}
        self.total_steps = total_steps
        self.steps_per_epoch = steps_per_epoch
        self.versions = describe()
        self.register_buffer("class_weights", weights, persistent=False)
        self.train_confusion = Confusion(student.config.classes)
        self.val_confusion = Confusion(student.config.classes)
        self.teacher_confusion = Confusion(student.config.classes)
        self.val_not_finite = SumMetric()  # validation scans
        self._steps = 0  # optimiser steps that really happened
        own = config.self_training
        # Scheduled steps before self-training; those that are left out count, as they do for the sampler.
        self._alone = own.start * total_steps if own.weight > 0 else math.inf
        self._norms = NormKeeper(student)
        self._frames: list[str] = []  # of the batches since the last step
        self._loss: Tensor = torch.zeros(())  # their sum
        self._random: list[RandomState] | Tensor | None = None  # generators of a run that is resumed
        adapter = None if self.teacher is None else self.teacher.adapter
        self._base = "" if adapter is None else adapter.base_hash()
        self.train()  # Lightning takes the modes of parts as it finds them

    @property
    def teacher(self) -> "Teacher | None":
        return None if self.distillation is None else self.distillation.teacher

    @property
    def steps_taken(self) -> int:
        """Optimiser steps that really happened."""
        return self._steps

    def on_fit_start(self) -> None:
        assert self.total_steps == self.trainer.estimated_stepping_batches

    def train(self, mode: bool = True) -> "Training":
        """Batch norms of frozen parts keep their statistics, and the average is no place to train."""
        super().train(mode)
        for part in (*self._frozen, *([self.average] if self.average else [])):
            part.eval()
        return self

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        self.faults.unreadable_frames(batch.faults, self.global_step)
        if index % self.config.accumulate == 0:
            self._norms.keep()
            self._frames, self._loss = [], torch.zeros((), device=self.device)

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        output: StudentOutput = self.student(batch.points, batch.remission, batch.batch_index)
        terms = self.losses(output, batch)
        loss = torch.stack(list(terms.values())).sum()
        self._frames += batch.ids
        self._loss = self._loss + loss.detach()
        self.train_confusion.update(predicted(output.logits), batch.labels)
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=batch.size)
        self.log_dict({f"train/{name}": term.detach() for name, term in terms.items()}, batch_size=batch.size)
        return loss

    def losses(self, output: StudentOutput, batch: Batch) -> dict[str, Tensor]:
        """Every term of the loss, weighted; their sum is what is minimised."""
        terms = self._main_terms(output, batch.labels)
        if self.distillation is not None:
            terms |= self.distillation(output, batch, self.class_weights)  # type: ignore[arg-type]
        if self.average is not None and self.global_step >= self._alone:
            terms |= self._own_terms(self.average, output, batch)
        return terms

    def _own_terms(self, average: AveragedModel, output: StudentOutput, batch: Batch) -> dict[str, Tensor]:
        """The main loss once more, against what the average is sure of where there is no label."""
        settings = self.config.self_training
        answers = turned_answers(average, batch, settings.views)
        labels = missing_labels(answers, batch.labels, settings.confidence)
        return {f"own/{name}": settings.weight * term for name, term in self._main_terms(output, labels).items()}

    def _main_terms(self, output: StudentOutput, labels: Int64[Tensor, "n"]) -> dict[str, Tensor]:
        weights: Any = self.class_weights
        return {
            "cross_entropy": cross_entropy(output.logits, labels, weights),
            "lovasz": self.config.loss.lovasz * lovasz_softmax(output.logits, labels),
        }

    def on_train_start(self) -> None:
        if self._random is not None:
            restore_random_state(self._random, self.device)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """The step, unless its numbers are not finite."""
        result = optimizer_closure()
        if not self._sound(optimizer):
            self._norms.restore()
            self.faults.skipped_step(self._frames, self.global_step)
        else:
            taken = self._steps
            super().optimizer_step(epoch, batch_idx, optimizer, lambda: result)
            if self._steps > taken:
                self.faults.taken_step()
            else:  # the gradient scaler has left it out
                self._norms.restore()
                self.faults.overflowed_step(self._frames, self.global_step)
        self.log("train/skipped_steps", float(self.faults.skipped), batch_size=1)

    def _sound(self, optimizer: Any) -> bool:
        """Of all processes. A gradient that overflows is the affair of the gradient scaler, if there is one, until it
        has lowered its scale to 1: then it is the gradient itself that is not finite.
        """
        loss = self._loss
        if self.trainer.world_size > 1:
            loss = self.trainer.strategy.reduce(loss, reduce_op="sum")
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        scaled = scaler is not None and scaler.get_scale() > 1
        return sound(loss, [] if scaled else [p for group in optimizer.param_groups for p in group["params"]])

    def _after_step(self, *_: Any) -> None:
        """Ranks are given out after each optimiser step, with its gradients still there; the average takes part.

        The optimiser calls this, and a gradient scaler that finds an overflow does not call the optimiser.
        """
        self._steps += 1
        if self.teacher is not None and self.teacher.adapter is not None:
            self.teacher.adapter.allocate(self._steps)
        if self.average is not None:
            self.average.update_parameters(self.student)

    def on_train_epoch_end(self) -> None:
        self._score_training()

    def _score_training(self) -> None:
        """On the batches since the last score: a validation, or the end of an epoch."""
        if self.train_confusion.update_called:
            self.log("train/miou_present", self.train_confusion.score().miou_present, prog_bar=True)
            self.train_confusion.reset()

    def validation_step(self, batch: Batch, _index: int) -> None:
        """The official rule: every point of the scan, those outside the volume by their nearest neighbour.

        The teacher, if there is one, is scored on the pixels of visible points.
        """
        assert batch.point_to_row is not None
        assert batch.ground_truth is not None
        student = self.student if self.average is None else self.average
        logits = student(batch.points, batch.remission, batch.batch_index).logits
        self.val_confusion.update(predicted(logits)[batch.point_to_row], batch.ground_truth)
        self.val_not_finite.update((~torch.isfinite(logits)).any())
        if self.teacher is not None:
            self.teacher_confusion.update(*self._teacher_answers(self.teacher, batch))

    def _teacher_answers(self, teacher: "Teacher", batch: Batch) -> tuple[Tensor, Tensor]:
        """(prediction, truth) at the pixels of visible points; empty if there is no image."""
        if batch.views is None:
            return batch.labels[:0], batch.labels[:0]
        said = teacher.at(teacher(batch.views.images), batch.views.pairs, batch.views.size)
        return predicted(said.multi_stage), batch.labels[batch.views.pair_point]

    def on_validation_epoch_end(self) -> None:
        self._score_training()
        result = self.val_confusion.score()
        # The argmax of NaN is a class too: a score of such predictions means nothing, and must never be the best one.
        broken = int(self.val_not_finite.compute())
        if broken:
            self.faults.lost_score(broken, self.global_step, report=self.trainer.is_global_zero)
        factor = math.nan if broken else 1.0
        self.log("val/miou", factor * result.miou, prog_bar=True)
        self.log("val/miou_present", factor * result.miou_present)
        self.log("val/accuracy", factor * result.accuracy)
        self.val_confusion.reset()
        self.val_not_finite.reset()
        if self.teacher is not None:
            result = self.teacher_confusion.score()
            if result.present:  # else no validation scan has an image
                self.log("val/teacher_miou", result.miou, prog_bar=True)
                self.log("val/teacher_miou_present", result.miou_present)
            self.teacher_confusion.reset()

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self, self.teacher, self.config.optim)
        optimizer.register_step_post_hook(self._after_step)
        stair = self.steps_per_epoch if self.config.optim.anneal == "epoch" else 1
        schedule = LambdaLR(optimizer, lambda step: cosine(step, self.total_steps, self.config.optim, stair=stair))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        groups = [group["params"] for group in optimizer.param_groups]
        if self.config.optim.clip_together:
            groups = [[p for group in groups for p in group]]
        for parameters in groups:
            torch.nn.utils.clip_grad_norm_(parameters, self.config.optim.clip)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Plain values only, so that the file can be read without unpickling anything. No frozen foundation model."""
        checkpoint["elite_config"] = plain(self.config)
        checkpoint["elite_versions"] = self.versions
        checkpoint["elite_data"] = self.data
        seen = self.train_confusion.matrix
        checkpoint["elite_progress"] = {
            "steps": self._steps,
            "world": self.trainer.world_size,
            "confusion": self.trainer.strategy.reduce(seen.clone(), reduce_op="sum"),
            "random": random_states(self.device),
            "faults": self.faults.state(),
        }
        if self.teacher is not None:
            frozen = {f"{TEACHER}{name}" for name in self.teacher.frozen_names()}
            checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k not in frozen}
            adapter = self.teacher.adapter
            checkpoint["elite_teacher"] = {
                "total_steps": self.total_steps,
                "base": self._base,
                "allocator": {} if adapter is None else adapter.allocator_state(),
            }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Everything that Lightning does not restore by itself.

        Raises:
            CheckpointError: the run had another number of processes, or another foundation model.
        """
        progress = checkpoint["elite_progress"]
        if progress["world"] != self.trainer.world_size:
            raise CheckpointError(
                f"the run had {progress['world']} processes when it was saved, now there are "
                f"{self.trainer.world_size}, which would share the scans otherwise; give as many --devices."
            )
        self._steps, self._random = progress["steps"], progress["random"]
        self.faults.load_state(progress["faults"])
        self.train_confusion.resume(progress["confusion"], first=self.trainer.is_global_zero)
        if self.teacher is not None:
            self._restore_teacher(self.teacher, checkpoint)

    def _restore_teacher(self, teacher: "Teacher", checkpoint: dict[str, Any]) -> None:
        if teacher.adapter is not None:
            if self._base != checkpoint["elite_teacher"]["base"]:
                raise CheckpointError(
                    f"the foundation model in '{self.config.teacher.weights}' is not the one that the run began with; "
                    "put the old one back."
                )
            teacher.adapter.load_allocator_state(checkpoint["elite_teacher"]["allocator"])
        frozen = {f"{TEACHER}{name}" for name in teacher.frozen_names()}
        own = {name: value for name, value in self.state_dict().items() if name in frozen}
        checkpoint["state_dict"] = own | checkpoint["state_dict"]


def averaged(student: SPVCNN, decay: float) -> AveragedModel:
    """A copy of the student that follows it: decay * copy + (1 - decay) * student after each step; not trained."""
    average = AveragedModel(student, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    return average.requires_grad_(False)


def predicted(logits: Float[Tensor, "n classes"]) -> Int64[Tensor, "n"]:
    """argmax over the classes 1.. (class 0 is never trained)."""
    return logits[:, 1:].argmax(dim=1) + 1


class Confusion(Metric):
    """confusion[prediction, truth], summed over batches and over processes."""

    matrix: Tensor
    full_state_update = False

    def __init__(self, classes: int = NUM_CLASSES) -> None:
        super().__init__()
        self.classes = classes
        self.add_state("matrix", torch.zeros(classes, classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Int64[Tensor, "n"], truth: Int64[Tensor, "n"]) -> None:
        flat = torch.bincount(prediction * self.classes + truth, minlength=self.classes**2)
        self.matrix += flat.view(self.classes, self.classes)

    def resume(self, total: Int64[Tensor, "classes classes"], *, first: bool) -> None:
        """Go on from the sum of all processes: the first takes all of it, the others begin with nothing."""
        self.matrix.copy_(total if first else torch.zeros_like(total))
        self._update_count = int(total.any())  # so that all of them know whether there is something to score

    def compute(self) -> Int64[Tensor, "classes classes"]:
        return self.matrix

    def score(self) -> Score:
        """The official score of everything since the last reset."""
        return score(self.compute().cpu().numpy())
