"""Camera teacher: an adapted vision foundation model with heads. Only training requires it."""

from elite.teacher.teacher import Teacher, load_teacher
from elite.teacher.weights import load_backbone

__all__ = ["Teacher", "load_backbone", "load_teacher"]
