"""The student: a sparse-voxel network that needs nothing but a LiDAR scan.

The modules ``trained``, ``student_file``, ``model_file``, ``opening`` and ``engine`` run without PyTorch, so that the
names below are imported on first use.
"""

from typing import TYPE_CHECKING

from elite.lazy_names import lazy_names

if TYPE_CHECKING:
    from elite.student.checkpoint import load_student, save_student
    from elite.student.spvcnn import SPVCNN

__all__ = ["SPVCNN", "load_student", "save_student"]
__getattr__ = lazy_names(
    __name__,
    {"elite.student.checkpoint": ("load_student", "save_student"), "elite.student.spvcnn": ("SPVCNN",)},
)
