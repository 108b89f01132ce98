"""The camera network that teaches: a vision foundation model, adapted, with heads. Needed in training only."""

from elite.teacher.teacher import Teacher, load_teacher
from elite.teacher.weights import load_backbone

__all__ = ["Teacher", "load_backbone", "load_teacher"]
