"""Trained module of a teacher training: a backbone and its objective."""

import torch
from torch import Tensor, nn

from elite.config import TeacherTrainingConfig
from elite.data.image_set import ImageSample
from elite.teacher.backbone import Backbone
from elite.teacher_training.objectives import Objective, draw_hidden, hide


class TeacherTraining(nn.Module):
    """Backbone and objective of a teacher training; ``classes`` of the data set, including the ignored one."""

    def __init__(self, config: TeacherTrainingConfig, backbone: Backbone, classes: int) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone.train()
        self.objective = Objective(config, backbone, classes)

    def forward(self, batch: ImageSample) -> dict[str, Tensor]:
        """Terms of the loss, their sum ``loss``, and scores that are not minimised."""
        images, target = torch.as_tensor(batch.image), torch.as_tensor(batch.target)
        hidden = draw_hidden(images, self.config.hidden if self.objective.predicts_colours else 0.0)
        terms, scores = self.objective(self.backbone(hide(images, hidden)), images, hidden, target)
        return {"loss": torch.stack(list(terms.values())).sum(), **terms, **scores}

    def build_optimizer(self) -> torch.optim.AdamW:
        """AdamW without weight decay of norms, biases and positions.

        Runs are short: the second moment must follow within tens of steps, not a thousand.
        """
        trained = [(name, p) for name, p in self.named_parameters() if p.requires_grad]
        fixed = [p for name, p in trained if p.ndim < 2 or "pos" in name]
        decaying = [p for name, p in trained if not (p.ndim < 2 or "pos" in name)]
        groups = [{"params": decaying}, {"params": fixed, "weight_decay": 0.0}]
        decay = self.config.weight_decay
        return torch.optim.AdamW(groups, lr=self.config.lr, betas=(0.9, 0.98), weight_decay=decay)
