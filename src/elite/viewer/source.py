"""Sources of frames: a data set with its derived labels, or a stream of scans."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np

from elite.datasets.base import Dataset
from elite.datasets.dense_labels import DenseLabels
from elite.errors import DataError
from elite.geometry import moved
from elite.metrics import Score
from elite.occlusion import points_in_view
from elite.prediction_files import PredictionJob
from elite.prediction_formats import read_prediction
from elite.shapes import Float64
from elite.taxonomy import Taxonomy, require_equal_taxonomies
from elite.types import Frame
from elite.viewer.camera_view import CameraView
from elite.viewer.cloud import Cloud, PointPrediction, merge
from elite.viewer.predictors import FramePredictor, TeacherPrediction, TeacherPredictor

MAP_FRAMES = 60  # per sequence, evenly spaced; they are read in seconds
MAP_CELL = 0.2  # metres


@dataclass(frozen=True, eq=False)
class Scene:
    """A frame with its images, by camera, and the classes of its labels."""

    frame: Frame
    taxonomy: Taxonomy
    views: dict[str, CameraView] = field(default_factory=dict)

    def cloud(self, prediction: PointPrediction | None) -> Cloud:
        frame, scan = self.frame, self.frame.scan
        return Cloud(scan.points, scan.remission, self.taxonomy, frame.labels, frame.objects, prediction)


@dataclass(frozen=True)
class SequenceMap:
    """Merged points of many frames of a sequence, and T_map_sensor of every frame by its number."""

    cloud: Cloud
    poses: dict[int, Float64[np.ndarray, "4 4"]]


@runtime_checkable
class Source(Protocol):
    """Frames by number.

    Attributes:
        taxonomy: classes of all labels and predictions.
        ids: (sequence, name) of each frame, grouped by sequence; the list of a live source grows.
        cameras: names of the cameras.
        dense: kinds of dense labels, such as ``pseudo`` for the folders image_2_pseudo and image_3_pseudo.
        has_predictions, has_teacher: whether predictions of points, and of images by a teacher, are available.
    """

    taxonomy: Taxonomy
    cameras: tuple[str, ...]
    dense: tuple[str, ...]
    has_predictions: bool
    has_teacher: bool

    @property
    def ids(self) -> Sequence[tuple[str, str]]: ...

    def read(self, i: int) -> Scene:
        """Read a frame. Raises DataError if a file is damaged."""
        ...

    def predict(self, i: int) -> PointPrediction | None:
        """Predict a frame; None without a prediction for this frame. Raises DataError as ``read``."""
        ...

    def predict_teacher(self, i: int, camera: str) -> TeacherPrediction:
        """Predict one image with the teacher. Raises an EliteError if that is not possible."""
        ...

    def score(self, i: int) -> Score | None:
        """Score of one frame; None without ground truth or prediction. Raises DataError as ``read``."""
        ...

    def raw_label(self, i: int, point: int) -> int | None:
        """Raw id of the ground truth of a point; None without ground truth."""
        ...

    def labelled(self) -> list[int]:
        """Positions of frames with ground truth."""
        ...

    def sequence_map(self, sequence: str) -> SequenceMap:
        """Build the map of a sequence. Raises DataError if poses or calibration are missing."""
        ...


class DataSource:
    """A data set with predictions of a student and a teacher.

    Args:
        dataset: frames.
        predictor: predicts points.
        dense: lists of folders with dense labels, such as image_2_pseudo, at most one folder per camera in each.
        teacher: predicts images.

    Raises:
        ConfigError: the predictor has other classes than the data set.
    """

    def __init__(
        self,
        dataset: Dataset,
        predictor: FramePredictor | None = None,
        *,
        dense: Sequence[str] = (),
        teacher: TeacherPredictor | None = None,
    ) -> None:
        if predictor is not None:
            require_equal_taxonomies(predictor.taxonomy, dataset.taxonomy, "MODEL")
        self.dataset, self.predictor, self.teacher = dataset, predictor, teacher
        self.taxonomy = dataset.taxonomy
        self.ids = list(dataset.ids)
        self.cameras = dataset.cameras
        self._dense = [DenseLabels(dataset, folders) for folders in dense]
        self.dense = tuple(dict.fromkeys(kind for labels in self._dense for kind in labels.kinds.values()))
        self.has_predictions, self.has_teacher = predictor is not None, teacher is not None

    def read(self, i: int) -> Scene:
        frame = self.dataset[i]
        views = {
            camera.name: CameraView(frame.images[camera.name], points_in_view(frame, camera))
            for camera in frame.cameras
            if camera.name in frame.images
        }
        for labels in self._dense:
            for camera, found in labels.read(i, frame.images).items():
                kind = labels.kinds[camera]
                views[camera].dense[kind], views[camera].regions[kind] = found, labels.regions(i, camera)
        return Scene(frame, self.taxonomy, views)

    def predict(self, i: int) -> PointPrediction | None:
        return self.predictor(self.dataset.frame(i, ())) if self.predictor else None

    def predict_teacher(self, i: int, camera: str) -> TeacherPrediction:
        if self.teacher is None:
            raise DataError("MODEL: expected a training checkpoint with a teacher, found none. Give such a checkpoint.")
        return self.teacher(self.dataset.frame(i, (camera,)))

    def score(self, i: int) -> Score | None:
        frame = self.dataset.frame(i, ())
        return Scene(frame, self.taxonomy).cloud(self.predictor(frame) if self.predictor else None).score

    def raw_label(self, i: int, point: int) -> int | None:
        if not self.dataset.has_labels(i):
            return None
        return int(self.dataset.raw_labels(i)[point])

    def labelled(self) -> list[int]:
        return self.dataset.labelled()

    def sequence_map(self, sequence: str) -> SequenceMap:
        rows = [i for i, (name, _) in enumerate(self.ids) if name == sequence]
        poses = self._poses(rows)
        chosen = np.unique(np.linspace(0, len(rows) - 1, min(MAP_FRAMES, len(rows))).round().astype(int))
        return SequenceMap(merge([self._placed(rows[k], poses[rows[k]]) for k in chosen], MAP_CELL), poses)

    def _placed(self, i: int, pose: Float64[np.ndarray, "4 4"]) -> Cloud:
        frame = self.dataset.frame(i, ())
        # Running a network on all frames of the map would take minutes.
        prediction = self.predictor(frame) if self.predictor and self.predictor.is_saved else None
        return replace(Scene(frame, self.taxonomy).cloud(prediction), points=moved(frame.scan.points, pose))

    def _poses(self, rows: list[int]) -> dict[int, Float64[np.ndarray, "4 4"]]:
        """T_map_sensor of each frame: the map has the axes of the first frame."""
        T_map_world = np.linalg.inv(self._pose(rows[0]))
        return {i: T_map_world @ self._pose(i) for i in rows}

    def _pose(self, i: int) -> Float64[np.ndarray, "4 4"]:
        """T_world_sensor of a frame. Raises DataError if it has none."""
        pose = self.dataset.pose(i)
        if pose is None:
            raise DataError(
                f"frame {self.dataset.ids[i]}: expected a pose for the map, found none. Add the poses and the "
                "calibration of the data set (poses.txt and calib.txt in SemanticKITTI's layout)."
            )
        return pose


class ScanSource:
    """A growing list of labelled scan files; ``add`` may be called at any time.

    Args:
        sequence: name in the window.
        taxonomy: classes of the predictions.
    """

    cameras: tuple[str, ...] = ()
    dense: tuple[str, ...] = ()
    has_teacher = False
    has_predictions = True

    def __init__(self, sequence: str, taxonomy: Taxonomy) -> None:
        self.sequence, self.taxonomy = sequence, taxonomy
        self.ids: list[tuple[str, str]] = []
        self._jobs: list[PredictionJob] = []

    def add(self, job: PredictionJob) -> None:
        """Add a scan that has been labelled."""
        self._jobs.append(job)
        self.ids.append((self.sequence, job.labels.stem))

    def read(self, i: int) -> Scene:
        return Scene(Frame(*self.ids[i], self._jobs[i].read()), self.taxonomy)

    def predict(self, i: int) -> PointPrediction | None:
        job = self._jobs[i]
        scan = job.read()
        classes = read_prediction(job.labels, job.scan, scan.stored, self.taxonomy)
        return PointPrediction(scan.select(classes))

    def predict_teacher(self, i: int, camera: str) -> TeacherPrediction:
        raise DataError("a stream of scans: expected images for a teacher, found none. Use elite view with a data set.")

    def score(self, i: int) -> Score | None:
        return None

    def raw_label(self, i: int, point: int) -> int | None:
        return None

    def labelled(self) -> list[int]:
        return []

    def sequence_map(self, sequence: str) -> SequenceMap:
        raise DataError("a stream of scans: expected poses for a map, found none. Use elite view with a data set.")
