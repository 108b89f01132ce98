"""Training of a small vision foundation model on images, for use as a teacher."""

from elite.teacher_training.run import TeacherTrainingResult, train_teacher

__all__ = ["TeacherTrainingResult", "train_teacher"]
