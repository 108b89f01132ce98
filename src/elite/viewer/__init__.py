"""A browser window with scans, images, labels and predictions. Needs the extra ``view``."""

from elite.viewer.app import Viewer
from elite.viewer.predictors import SavedPredictions, StudentPredictor, TeacherPredictor, has_teacher
from elite.viewer.source import DataSource, ScanSource
from elite.viewer.window import first_choice, open_data, open_window

__all__ = [
    "DataSource",
    "SavedPredictions",
    "ScanSource",
    "StudentPredictor",
    "TeacherPredictor",
    "Viewer",
    "first_choice",
    "has_teacher",
    "open_data",
    "open_window",
]
