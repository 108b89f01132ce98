"""The images of a frame as views: tied to the points of its sample, with dense labels where there are any."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8, UInt32

from elite.config import ImageConfig
from elite.data.dense import read_dense
from elite.data.semantickitti import FrameIndex, SemanticKITTI, file_names
from elite.errors import ConfigError, DataError
from elite.files import TEXT_BYTES, parse_json, read_file
from elite.geometry import seen_pairs
from elite.labels import IGNORE, to_train
from elite.layout import Layout
from elite.pixels import keep_rows, prepare
from elite.types import Camera, Frame, View


def parse_names(text: str) -> tuple[str, ...]:
    """``image_2,image_3`` -> the names; ``none`` -> no name."""
    return tuple(name for part in text.split(",") if (name := part.strip()) not in ("", "none"))


def frame_views(
    frame: Frame,
    rows: Int64[np.ndarray, "n"],
    config: ImageConfig,
    rng: np.random.Generator | None = None,
    labels: Mapping[str, UInt8[np.ndarray, "h w"]] | None = None,
) -> tuple[View, ...]:
    """A view per image of the frame, its pairs numbered by the ``rows`` of the scan that make up the sample.

    ``labels`` are dense train ids by camera. Without ``rng`` the views are the same each time.

    Raises:
        DataError: an image is smaller than the crop, or its camera sees no point.
    """
    seen = [camera for camera in frame.cameras if camera.name in frame.images]
    whole = [_whole_view(frame, camera, rows, (labels or {}).get(camera.name)) for camera in seen]
    return tuple(prepare(view, config, rng, source=f"{view.camera} of scan {frame.id}") for view in whole)


def _whole_view(frame: Frame, camera: Camera, rows: np.ndarray, labels: np.ndarray | None) -> View:
    """Pairs of the whole scan first: what lies outside the sample still hides what is behind it."""
    image = frame.images[camera.name]
    pairs = seen_pairs(frame.scan.points, camera, *image.shape[:2], of=f"scan {frame.id}")
    return View(camera.name, image, keep_rows(pairs, rows, len(frame.scan)), labels)


class DenseLabels:
    """Dense image labels beside the frames: at most one folder per camera, and not every frame need have a file.

    ``folders`` is ``none``, or names such as ``image_2_labels,image_3_labels``; the camera leads the name.

    Raises:
        ConfigError: a folder of no camera that is selected, or a camera with two folders.
    """

    def __init__(self, frames: SemanticKITTI, folders: str) -> None:
        self.folders = _folder_of_camera(folders, frames.cameras)
        self.layouts: dict[str, Layout] = {folder: frames.layout_of(folder) for folder in self.folders.values()}
        self._names = {
            (sequence, camera): file_names(self.layouts[folder].dense_labels(sequence, "0", folder, "semantic").parent)
            for sequence in frames.sequences
            for camera, folder in self.folders.items()
        }

    def of(self, entry: FrameIndex) -> tuple[str, ...]:
        """Cameras whose image of this frame has dense labels."""
        named = f"{entry.name}.png"
        return tuple(c for c in self.folders if c in entry.images and named in self._names[entry.sequence, c])

    def settings(self, entry: FrameIndex) -> list[dict[str, Any]]:
        """What the dense labels of each image of a frame were generated with; empty without a record."""
        folders = [self.folders[camera] for camera in self.of(entry)]
        return [generated_with(self.layouts[folder], entry, folder) for folder in folders]

    def read(self, entry: FrameIndex, images: Mapping[str, np.ndarray]) -> dict[str, UInt8[np.ndarray, "h w"]]:
        """Train ids by camera, 0 = unknown.

        Raises:
            DataError: damaged, of an unknown class, or of another size than the image.
        """
        return {camera: self._read(entry, camera, images[camera].shape[:2]) for camera in self.of(entry)}

    def regions(self, entry: FrameIndex, camera: str) -> UInt32[np.ndarray, "h w"]:
        """A number for each object of one image and for all of a class that is no object (class << 16 | instance); 0 =
        unknown.

        Raises:
            DataError: damaged, or of an unknown class.
        """
        folder = self.folders[camera]
        raw, instance = read_dense(self.layouts[folder], entry.sequence, entry.name, folder)
        train = to_train(raw, source=self.layouts[folder].dense_record(entry.sequence, entry.name, folder))
        return (train.astype(np.uint32) << 16) | np.where(train == IGNORE, 0, instance)

    def _read(self, entry: FrameIndex, camera: str, size: tuple[int, ...]) -> np.ndarray:
        folder = self.folders[camera]
        path = self.layouts[folder].dense_labels(entry.sequence, entry.name, folder, "semantic")
        raw, _ = read_dense(self.layouts[folder], entry.sequence, entry.name, folder)
        if raw.shape != size:
            raise DataError(
                f"{path} is {raw.shape[0]} x {raw.shape[1]} pixels (rows x columns) but its image is "
                f"{size[0]} x {size[1]}; make the dense labels again from this image."
            )
        return to_train(raw, source=path)


def generated_with(layout: Layout, entry: FrameIndex, folder: str) -> dict[str, Any]:
    """The settings that a frame's labels in a folder were generated with, ``labels`` (their source) among them; empty
    where nothing tells.
    """
    try:
        record = parse_json(read_file(layout.dense_record(entry.sequence, entry.name, folder), TEXT_BYTES))
        return {"labels": "labels"} | dict(record["settings"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _folder_of_camera(folders: str, cameras: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in parse_names(folders):
        camera = next((c for c in cameras if folder.startswith(f"{c}_")), None)
        if camera is None or camera in found:
            raise ConfigError(
                f"data.dense_labels takes one folder per camera, each beginning with its camera's name "
                f"(image_2_labels); found '{folders}' with the cameras {', '.join(cameras) or 'none'}."
            )
        found[camera] = folder
    return found
