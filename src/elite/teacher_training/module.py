"""The step of a teacher training: a backbone under its objective."""

from collections import deque
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from elite.config import OptimConfig, TeacherTrainingConfig
from elite.data.image_set import ImageSample
from elite.errors import ConfigError
from elite.teacher.backbone import Backbone
from elite.teacher_training.objectives import Objective, draw_hidden, hide
from elite.training.optim import cosine


class TeacherTraining(L.LightningModule):
    """The backbone under its objective. AdamW with a cosine; norms, biases and positions do not decay."""

    def __init__(self, config: TeacherTrainingConfig, backbone: Backbone) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone.train()
        self.objective = Objective(config, backbone)
        self._last: deque[dict[str, float]] = deque(maxlen=max(1, config.steps // 10))

    def training_step(self, batch: ImageSample, _index: int) -> Tensor:
        scores = self.scores(batch)
        values = {name: float(value.detach()) for name, value in scores.items()}
        if not all(torch.isfinite(value) for value in scores.values()):
            raise ConfigError(
                f"the loss is no longer finite at step {self.global_step} ({values}); nothing is written; lower --lr "
                f"({self.config.lr:g}) or lengthen --warmup_steps ({self.config.warmup_steps})."
            )
        self._last.append(values)
        shown = ("loss", "mask_iou") if "mask_iou" in values else ("loss",)
        self.log_dict({name: values[name] for name in shown}, prog_bar=True, batch_size=len(batch.image))
        return scores["loss"]

    def validation_step(self, batch: ImageSample, _index: int) -> None:
        scores = {f"val/{name}": value for name, value in self.scores(batch).items()}
        self.log_dict(scores, batch_size=len(batch.image))

    def scores(self, batch: ImageSample) -> dict[str, Tensor]:
        """Every term of the loss, their sum ``loss``, and scores that are not minimised."""
        images, target = torch.as_tensor(batch.image), torch.as_tensor(batch.target)
        hidden = draw_hidden(images, self.config.hidden if self.objective.paints else 0.0)
        terms, scores = self.objective(self.backbone(hide(images, hidden)), images, hidden, target)
        return {"loss": torch.stack(list(terms.values())).sum(), **terms, **scores}

    def last_scores(self) -> dict[str, float]:
        """Means over the last tenth of the steps."""
        return {name: sum(s[name] for s in self._last) / len(self._last) for name in self._last[0]}

    def configure_optimizers(self) -> Any:
        trained = [(name, p) for name, p in self.named_parameters() if p.requires_grad]
        fixed = [p for name, p in trained if p.ndim < 2 or "pos" in name]
        decaying = [p for name, p in trained if not (p.ndim < 2 or "pos" in name)]
        groups = [{"params": decaying}, {"params": fixed, "weight_decay": 0.0}]
        # Runs are short: the second moment must follow within tens of steps, not a thousand.
        decay = self.config.weight_decay
        optimizer = torch.optim.AdamW(groups, lr=self.config.lr, betas=(0.9, 0.98), weight_decay=decay)
        rate = OptimConfig(lr=self.config.lr, warmup_steps=self.config.warmup_steps)
        schedule = LambdaLR(optimizer, lambda step: cosine(step, self.config.steps, rate))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
