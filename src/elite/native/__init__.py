"""C++ kernels for the student on CPUs: several times faster than plain PyTorch, which computes the same.

The modules ``ops``, ``gradients`` and ``tensors`` call them with tensors, and require PyTorch.
"""

from elite.native.loader import describe, library
from elite.native.model import GroupLogits, Model, PointAnswers, Precision, Session, accelerates, answers_of, multiplies
from elite.native.nearest import find_nearest

__all__ = [
    "GroupLogits",
    "Model",
    "PointAnswers",
    "Precision",
    "Session",
    "accelerates",
    "answers_of",
    "describe",
    "find_nearest",
    "library",
    "multiplies",
]
