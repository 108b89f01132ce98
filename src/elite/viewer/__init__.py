"""A window in the browser on scans, images, labels and what networks make of them. Needs the extra ``view``."""

from elite.viewer.answers import Files, Student, Teacher, has_teacher
from elite.viewer.app import Viewer
from elite.viewer.serve import first_choice, open_data, open_window
from elite.viewer.source import DataSource, ScanSource

__all__ = [
    "DataSource",
    "Files",
    "ScanSource",
    "Student",
    "Teacher",
    "Viewer",
    "first_choice",
    "has_teacher",
    "open_data",
    "open_window",
]
