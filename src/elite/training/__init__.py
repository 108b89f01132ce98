"""Training runs on Lightning."""

from elite.training.run import TrainingResult, train

__all__ = ["TrainingResult", "train"]
