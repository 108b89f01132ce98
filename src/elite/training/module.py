"""One training step: batch -> student -> losses; and the score on validation scans."""

from typing import Any

import lightning as L
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import Metric

from elite.config import TrainConfig, plain
from elite.environment import describe
from elite.labels import NUM_CLASSES
from elite.losses import cross_entropy, lovasz_softmax
from elite.metrics import Score, score
from elite.student import SPVCNN
from elite.training.optim import build_optimizer, cosine
from elite.types import Batch, StudentOutput


class StudentTraining(L.LightningModule):
    """The student under supervision: cross entropy + 0.1 Lovasz on its logits per point."""

    def __init__(self, config: TrainConfig, student: SPVCNN, weights: Float[Tensor, "classes"] | None) -> None:
        super().__init__()
        self.config = config
        self.student = student
        self.versions = describe()
        self.register_buffer("class_weights", weights, persistent=False)
        self.train_confusion = Confusion(student.config.classes)
        self.val_confusion = Confusion(student.config.classes)

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        output: StudentOutput = self.student(batch.points, batch.remission, batch.batch_index)
        terms = self.losses(output, batch)
        loss = torch.stack(list(terms.values())).sum()
        self.train_confusion.update(predicted(output.logits), batch.labels)
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=batch.size)
        self.log_dict({f"train/{name}": term.detach() for name, term in terms.items()}, batch_size=batch.size)
        return loss

    def losses(self, output: StudentOutput, batch: Batch) -> dict[str, Tensor]:
        """Every term of the loss, weighted; their sum is what is minimised."""
        return {
            "cross_entropy": cross_entropy(output.logits, batch.labels, self.class_weights),  # type: ignore[arg-type]
            "lovasz": self.config.loss.lovasz * lovasz_softmax(output.logits, batch.labels),
        }

    def on_train_epoch_end(self) -> None:
        result = self.train_confusion.score()
        self.log("train/miou_present", result.miou_present, prog_bar=True)
        self.train_confusion.reset()

    def validation_step(self, batch: Batch, _index: int) -> None:
        """The official rule: every point of the scan, those outside the volume by their nearest neighbour."""
        assert batch.cover is not None
        assert batch.truth is not None
        logits = self.student(batch.points, batch.remission, batch.batch_index).logits
        self.val_confusion.update(predicted(logits)[batch.cover], batch.truth)

    def on_validation_epoch_end(self) -> None:
        result = self.val_confusion.score()
        self.log("val/miou", result.miou, prog_bar=True)
        self.log("val/miou_present", result.miou_present)
        self.log("val/accuracy", result.accuracy)
        self.val_confusion.reset()

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self, self.config.optim)
        total = int(self.trainer.estimated_stepping_batches)
        schedule = LambdaLR(optimizer, lambda step: cosine(step, total, self.config.optim))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Plain values only, so that the file can be read without unpickling anything."""
        checkpoint["elite_config"] = plain(self.config)
        checkpoint["elite_versions"] = self.versions


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

    def compute(self) -> Int64[Tensor, "classes classes"]:
        return self.matrix

    def score(self) -> Score:
        """The official score of everything since the last reset."""
        return score(self.compute().cpu().numpy())
