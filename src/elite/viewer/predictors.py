"""Sources of predictions: a student, saved predictions, a teacher."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from elite.config import ImageConfig, from_plain
from elite.data.views import frame_views
from elite.device import pick_device
from elite.errors import DataError, require_extra
from elite.evaluation import saved_predictions
from elite.inference import Segmenter
from elite.layout import Layout
from elite.shapes import UInt8
from elite.taxonomy import Taxonomy
from elite.types import Frame
from elite.viewer.cloud import PointPrediction

if TYPE_CHECKING:  # needs the extra `teacher`
    from elite.teacher import Teacher as Network


@runtime_checkable
class FramePredictor(Protocol):
    """Predict the points of a frame; None without one.

    Attributes:
        taxonomy: classes of the predictions.
        is_saved: predictions are read from files, not computed.
        past_scans: number of past scans that frames must have.
    """

    taxonomy: Taxonomy
    is_saved: bool
    past_scans: int

    def __call__(self, frame: Frame) -> PointPrediction | None: ...


class StudentPredictor:
    """Predicts scans with a student; without test-time augmentation also returns logits."""

    is_saved = False

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter, self.taxonomy, self.past_scans = segmenter, segmenter.taxonomy, segmenter.past_scans

    def __call__(self, frame: Frame) -> PointPrediction:
        if self.segmenter.ensemble.count == 1:
            return PointPrediction.from_logits(self.segmenter.logits(frame.scan))
        result = self.segmenter.segment(frame.scan)
        return PointPrediction(result.labels, result.confidence)


class SavedPredictions:
    """Reads predictions that ``elite predict`` wrote to a folder, with the raw ids of a taxonomy."""

    is_saved, past_scans = True, 0

    def __init__(self, folder: Path, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self._layout, self._read = Layout(folder), saved_predictions(folder, taxonomy)

    def __call__(self, frame: Frame) -> PointPrediction | None:
        if not self._layout.prediction(frame.sequence, frame.name).exists():
            return None
        found = self._read(frame)
        return PointPrediction(found.labels, found.confidence)


@dataclass(frozen=True)
class TeacherPrediction:
    """The image crop that the teacher receives, and its prediction for every pixel, as train ids."""

    image: UInt8[np.ndarray, "h w 3"]
    labels: UInt8[np.ndarray, "h w"]


class TeacherPredictor:
    """Predicts images with the teacher of a training checkpoint, which is loaded on first use."""

    def __init__(self, checkpoint: Path, device: str) -> None:
        self._checkpoint, self._device = checkpoint, device
        self._loaded: tuple[Network, ImageConfig] | None = None

    def __call__(self, frame: Frame) -> TeacherPrediction:
        """Predict the image of a frame that has one image.

        Raises:
            CheckpointError, ConfigError, MissingExtraError: the teacher cannot be loaded.
            DataError: the frame has no image, or it is too small.
        """
        if not frame.images:
            raise DataError(f"frame {frame.id}: expected an image for the teacher, found none. Select another frame.")
        network, config = self._load()
        (view,) = frame_views(frame, np.arange(len(frame.scan)), config)
        from elite.teacher.prediction import predict_view

        return TeacherPrediction(view.image, predict_view(network, view).image)

    def _load(self) -> "tuple[Network, ImageConfig]":
        if self._loaded is None:
            for package in ("transformers", "peft"):
                require_extra(package, "teacher")
            from elite.teacher import load_teacher
            from elite.weights.torch_file import open_torch

            network = load_teacher(self._checkpoint).to(pick_device(self._device))
            with open_torch(self._checkpoint) as file:
                settings = file.content["elite_config"]
            self._loaded = network, from_plain(ImageConfig, settings.get("image") or {})
        return self._loaded


def has_teacher(checkpoint: Path) -> bool:
    """Whether a file is a training checkpoint with a teacher."""
    if checkpoint.suffix in (".safetensors", ".elite"):
        return False
    from elite.weights.torch_file import open_torch

    with open_torch(checkpoint) as file:  # tensors are not read
        return "elite_teacher" in file.content
