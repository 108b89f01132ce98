"""Where frames come from: a data set with what belongs to it, or scans one by one."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8, UInt32

from elite.datasets.dense_labels import DenseLabels
from elite.datasets.formats import count_points, read_cam_velo, read_labels, read_poses, read_scan
from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import DataError
from elite.labels import to_train
from elite.metrics import Score
from elite.types import Frame, PointPixelPairs
from elite.viewer.answers import Answerer, Taught, Teacher
from elite.viewer.images import seen
from elite.viewer.layers import Answer, Cloud, joined

MAP_FRAMES = 60  # of a sequence, evenly spread: enough to see the street, few enough to be read in seconds
MAP_CELL = 0.2  # metres


@dataclass(frozen=True, eq=False)
class Scene:
    """A frame, what each camera sees of it, and the dense labels of its images.

    Attributes:
        pairs: by camera, far points first.
        dense: train ids by folder, such as image_2_pseudo.
        regions: by the same folders, a number for each object and for each class without objects; 0 = unknown.
    """

    frame: Frame
    pairs: dict[str, PointPixelPairs] = field(default_factory=dict)
    dense: dict[str, UInt8[np.ndarray, "h w"]] = field(default_factory=dict)
    regions: dict[str, UInt32[np.ndarray, "h w"]] = field(default_factory=dict)

    def cloud(self, answer: Answer | None) -> Cloud:
        frame = self.frame
        return Cloud(frame.scan.points, frame.scan.remission, frame.labels, frame.objects, answer)


@dataclass(frozen=True)
class Street:
    """Many frames of a sequence as one cloud, and T_street_velo of every frame by its number."""

    cloud: Cloud
    poses: dict[int, Float[np.ndarray, "4 4"]]


@runtime_checkable
class Source(Protocol):
    """Frames by number.

    Attributes:
        ids: (sequence, name) of each, sequence after sequence; the list of a live source grows.
        cameras, dense: which images and dense labels there may be.
        answers, teaches: whether there is a student, and a teacher.
    """

    ids: list[tuple[str, str]]
    cameras: tuple[str, ...]
    dense: tuple[str, ...]
    answers: bool
    teaches: bool

    def read(self, i: int) -> Scene:
        """Raises DataError if a file of the frame is damaged."""
        ...

    def answer(self, i: int) -> Answer | None:
        """The student's answer; None if there is none for this frame. Raises DataError as ``read`` does."""
        ...

    def taught(self, i: int, camera: str) -> Taught:
        """The teacher's answer for one image. Raises an EliteError if there is none to be had."""
        ...

    def score(self, i: int) -> Score | None:
        """The student's score in one frame; None if it lacks labels or an answer. Raises DataError as ``read``."""
        ...

    def raw_label(self, i: int, point: int) -> int | None:
        """The true label of a point as its file has it; None if there is none."""
        ...

    def labelled(self) -> list[int]:
        """Frames with true labels."""
        ...

    def street(self, sequence: str) -> Street:
        """Raises DataError if poses or calibration are missing."""
        ...


class DataSource:
    """A data set, and what a student and a teacher say of it.

    Args:
        dense: lists of folders with dense labels, at most one folder per camera in each: image_2_pseudo.
    """

    def __init__(
        self,
        dataset: SemanticKITTI,
        answerer: Answerer | None = None,
        *,
        dense: Sequence[str] = (),
        teacher: Teacher | None = None,
    ) -> None:
        self.dataset, self.answerer, self.teacher = dataset, answerer, teacher
        self.ids = list(dataset.ids)
        self.cameras = dataset.cameras
        self._dense = [DenseLabels(dataset, folders) for folders in dense]
        self.dense = tuple(folder for labels in self._dense for folder in labels.folders.values())
        self.answers, self.teaches = answerer is not None, teacher is not None

    def read(self, i: int) -> Scene:
        frame = self.dataset[i]
        scene = Scene(frame, {c.name: seen(frame, c) for c in frame.cameras if c.name in frame.images})
        for labels in self._dense:
            for camera, found in labels.read(i, frame.images).items():
                scene.dense[labels.folders[camera]] = found
                scene.regions[labels.folders[camera]] = labels.regions(i, camera)
        return scene

    def answer(self, i: int) -> Answer | None:
        return self.answerer(self.dataset.frame(i, ())) if self.answerer else None

    def taught(self, i: int, camera: str) -> Taught:
        if self.teacher is None:
            raise DataError("no teacher is known; give --checkpoint with a training checkpoint of a run that has one.")
        return self.teacher(self.dataset.frame(i, (camera,)))

    def score(self, i: int) -> Score | None:
        frame = self.dataset.frame(i, ())
        return Scene(frame).cloud(self.answerer(frame) if self.answerer else None).score

    def raw_label(self, i: int, point: int) -> int | None:
        if not self.dataset.has_labels(i):
            return None
        scan = self.dataset.scan_path(i)
        return int(read_labels(self.dataset.label_path(i), scan, count_points(scan))[0][point])

    def labelled(self) -> list[int]:
        return self.dataset.labelled()

    def street(self, sequence: str) -> Street:
        rows = [i for i, (name, _) in enumerate(self.ids) if name == sequence]
        poses = self._poses(sequence, rows)
        chosen = np.unique(np.linspace(0, len(rows) - 1, min(MAP_FRAMES, len(rows))).round().astype(int))
        return Street(joined([self._placed(rows[k], poses[rows[k]]) for k in chosen], MAP_CELL), poses)

    def _placed(self, i: int, pose: Float[np.ndarray, "4 4"]) -> Cloud:
        frame = self.dataset.frame(i, ())
        # A network would take minutes for a map; files are read at once.
        answer = self.answerer(frame) if self.answerer and self.answerer.quick else None
        return replace(Scene(frame).cloud(answer), points=moved(frame.scan.points, pose))

    def _poses(self, sequence: str, rows: list[int]) -> dict[int, Float[np.ndarray, "4 4"]]:
        """T_street_velo: the street is the sensor's frame at the first of the frames."""
        layout = self.dataset.layout
        T_cam_velo = np.vstack([read_cam_velo(layout.calibration(sequence)), (0, 0, 0, 1)])
        world = read_poses(layout.poses(sequence))
        last = int(self.ids[rows[-1]][1])
        if last >= len(world):
            raise DataError(
                f"the map of sequence {sequence} needs {last + 1} lines in poses.txt, found {len(world)}; copy the "
                "file again."
            )
        T_world_velo = {i: world[int(self.ids[i][1])] @ T_cam_velo for i in rows}
        T_street_world = np.linalg.inv(T_world_velo[rows[0]])
        return {i: T_street_world @ pose for i, pose in T_world_velo.items()}


class ScanSource:
    """Scan files one by one, with their labels where these are written beside; ``add`` may be called at any time."""

    cameras: tuple[str, ...] = ()
    dense: tuple[str, ...] = ()
    teaches = False
    answers = True

    def __init__(self, sequence: str) -> None:
        self.sequence = sequence
        self.ids: list[tuple[str, str]] = []
        self._files: list[tuple[Path, Path]] = []

    def add(self, scan: Path, labels: Path) -> None:
        """A scan, and the file that has its predicted labels (raw ids)."""
        self._files.append((scan, labels))
        self.ids.append((self.sequence, scan.stem))

    def read(self, i: int) -> Scene:
        sequence, name = self.ids[i]
        return Scene(Frame(sequence, name, read_scan(self._files[i][0])))

    def answer(self, i: int) -> Answer | None:
        scan, labels = self._files[i]
        raw, _ = read_labels(labels, scan, count_points(scan))
        return Answer(to_train(raw, source=labels))

    def taught(self, i: int, camera: str) -> Taught:
        raise DataError("a stream of scans has no images.")

    def score(self, i: int) -> Score | None:
        return None

    def raw_label(self, i: int, point: int) -> int | None:
        return None

    def labelled(self) -> list[int]:
        return []

    def street(self, sequence: str) -> Street:
        raise DataError("a stream of scans has no poses, so there is no map.")


def moved(points: Float[np.ndarray, "n 3"], pose: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "n 3"]:
    """Points in the target's frame, where ``pose`` is T_target_source."""
    return (points @ pose[:3, :3].T + pose[:3, 3]).astype(points.dtype)
