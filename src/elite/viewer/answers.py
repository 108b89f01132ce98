"""Who labels the points and the pixels that are shown: a student, files of its predictions, a teacher."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from elite.config import ImageConfig, from_plain
from elite.data.views import frame_views
from elite.device import pick_device
from elite.errors import DataError, require_extra
from elite.evaluation import saved_predictions
from elite.inference import Segmenter
from elite.layout import Layout
from elite.types import Frame
from elite.viewer.layers import Answer
from elite.weights.torch_file import open_torch

if TYPE_CHECKING:  # its libraries are needed only where there is a teacher
    from elite.teacher import Teacher as Network


@runtime_checkable
class Answerer(Protocol):
    """Labels of a frame's points, None where there are none; ``quick`` if they need not be computed."""

    quick: bool

    def __call__(self, frame: Frame) -> Answer | None: ...


class Student:
    """Labels every scan by a network; with its logits, unless views of the scan vote."""

    quick = False

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter

    def __call__(self, frame: Frame) -> Answer:
        scan = frame.scan
        if self.segmenter.ensemble.count == 1:
            return Answer.of_logits(self.segmenter.logits(scan.points, scan.remission))
        result = self.segmenter.segment(scan)
        return Answer(result.labels, result.confidence)


class Files:
    """Labels as ``elite predict`` wrote them into a folder."""

    quick = True

    def __init__(self, folder: Path) -> None:
        self._layout, self._read = Layout(folder), saved_predictions(folder)

    def __call__(self, frame: Frame) -> Answer | None:
        if not self._layout.prediction(frame.sequence, frame.name).exists():
            return None
        found = self._read(frame)
        return Answer(found.labels, found.confidence)


@dataclass(frozen=True)
class Taught:
    """What the teacher says of the part of an image that it sees: train ids 1..19 of every pixel."""

    image: UInt8[np.ndarray, "h w 3"]
    labels: UInt8[np.ndarray, "h w"]


class Teacher:
    """The teacher of a training checkpoint, loaded when it is first asked."""

    def __init__(self, checkpoint: Path, device: str) -> None:
        self._checkpoint, self._device = checkpoint, device
        self._loaded: tuple[Network, ImageConfig] | None = None

    def __call__(self, frame: Frame) -> Taught:
        """``frame`` has one image.

        Raises:
            CheckpointError, ConfigError, MissingExtraError: the teacher cannot be loaded.
            DataError: the frame has no image, or it is too small.
        """
        if not frame.images:
            raise DataError(f"frame {frame.id} has no image for the teacher to look at.")
        network, config = self._load()
        (view,) = frame_views(frame, np.arange(len(frame.scan)), config)
        from elite.teacher.prediction import predict_view

        return Taught(view.image, predict_view(network, view).image)

    def _load(self) -> "tuple[Network, ImageConfig]":
        if self._loaded is None:
            for package in ("transformers", "peft"):
                require_extra(package, "teacher")
            from elite.teacher import load_teacher

            network = load_teacher(self._checkpoint).to(pick_device(self._device))
            with open_torch(self._checkpoint) as file:
                settings = file.content["elite_config"]
            self._loaded = network, from_plain(ImageConfig, settings.get("image") or {})
        return self._loaded


def has_teacher(checkpoint: Path) -> bool:
    """Whether a file is a checkpoint of a run with a teacher."""
    if checkpoint.suffix == ".safetensors":
        return False
    with open_torch(checkpoint) as file:  # no numbers are read
        return "elite_teacher" in file.content
