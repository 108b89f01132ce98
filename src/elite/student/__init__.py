"""The student: a sparse-voxel network that needs nothing but a LiDAR scan."""

from elite.student.checkpoint import load_student, save_student
from elite.student.spvcnn import SPVCNN

__all__ = ["SPVCNN", "load_student", "save_student"]
