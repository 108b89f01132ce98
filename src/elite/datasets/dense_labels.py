"""Dense image labels: a semantic and an instance PNG per image, 16-bit grey, raw ids, 0 = unknown or sky."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from elite.datasets.base import Dataset
from elite.datasets.listing import file_names
from elite.errors import ConfigError, DataError
from elite.files import open_image, write_bytes
from elite.label_records import read_provenance, require_generated_classes
from elite.layout import DenseFiles, Layout, parse_names
from elite.shapes import UInt8, UInt16, UInt32
from elite.taxonomy import IGNORE

DenseIds = tuple[UInt16[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]  # semantic, instance
_REMEDY = "Generate the dense labels of this image again"


def write_dense(
    layout: Layout,
    sequence: str,
    name: str,
    folder: str,
    *,
    semantic: UInt16[np.ndarray, "h w"],
    instance: UInt16[np.ndarray, "h w"],
) -> None:
    """Write both maps of one image, each atomically. ``folder`` such as image_2_labels."""
    files = layout.dense_files(sequence, name, folder)
    write_bytes(files.semantic, encode_ids(semantic))
    write_bytes(files.instance, encode_ids(instance))


def read_dense(layout: Layout, sequence: str, name: str, folder: str) -> DenseIds:
    """Read semantic and instance ids of one image.

    Raises:
        DataError: a file is missing, damaged, not 16-bit grey, or the two differ in size.
    """
    return read_dense_files(layout.dense_files(sequence, name, folder))


def read_dense_files(files: DenseFiles) -> DenseIds:
    """Read semantic and instance ids; see ``read_dense``."""
    semantic, instance = _decode(files.semantic), _decode(files.instance)
    if semantic.shape != instance.shape:
        raise DataError(
            f"{files.instance}: expected the size of {files.semantic}, {_size(semantic.shape)}, found "
            f"{_size(instance.shape)}. {_REMEDY}."
        )
    return semantic, instance


def encode_ids(ids: UInt16[np.ndarray, "h w"]) -> bytes:
    """Encode one map as a 16-bit PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(ids, dtype=np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def _decode(path: Path) -> UInt16[np.ndarray, "h w"]:
    with open_image(path, "PNG", remedy=_REMEDY) as image:
        mode, ids = image.mode, np.array(image)
    if not mode.startswith("I;16"):
        raise DataError(f"{path}: expected 16-bit grey pixels (I;16), found mode {mode}. {_REMEDY}.")
    return ids.astype(np.uint16)


class DenseLabels:
    """Dense labels of the images of a data set: at most one folder per camera; images without them are legal.

    Args:
        frames: the data set.
        folders: ``none``, or names such as ``image_2_labels,image_3_labels``; each begins with its camera's name.

    Attributes:
        folders: folder by camera.

    Raises:
        ConfigError: a folder of a camera that is not selected, or a camera with two folders.
    """

    def __init__(self, frames: Dataset, folders: str) -> None:
        self.frames = frames
        self.folders = _folder_of_camera(folders, frames)
        first = {frame_id.sequence: i for i, frame_id in reversed(list(enumerate(frames.ids)))}
        self._names = {
            (sequence, camera): file_names(self._files(i, camera).semantic.parent)
            for sequence, i in first.items()
            for camera in self.folders
        }

    @property
    def kinds(self) -> dict[str, str]:
        """Kind of the labels by camera: its folder without its name, such as ``pseudo``."""
        return {camera: folder.removeprefix(f"{camera}_") for camera, folder in self.folders.items()}

    @property
    def present(self) -> tuple[str, ...]:
        """Folders with labels of a selected sequence."""
        cameras = {camera for (_, camera), names in self._names.items() if names}
        return tuple(folder for camera, folder in self.folders.items() if camera in cameras)

    def cameras(self, i: int) -> tuple[str, ...]:
        """Return the cameras whose image of this frame has dense labels."""
        if not self.folders:
            return ()
        sequence, name = self.frames.ids[i]
        images = self.frames.image_cameras(i)
        return tuple(c for c in self.folders if c in images and f"{name}.png" in self._names[sequence, c])

    def provenance(self, i: int) -> list[dict[str, Any]]:
        """Read the settings that the dense labels of each image of a frame were generated with."""
        return [read_provenance(self._files(i, camera).record) for camera in self.cameras(i)]

    def read(self, i: int, images: Mapping[str, np.ndarray]) -> dict[str, UInt8[np.ndarray, "_ _"]]:
        """Read the train ids of some images of a frame, by camera; 0 = unknown.

        Raises:
            DataError: damaged, an unknown class, generated for other classes, or another size than the image.
        """
        wanted = (camera for camera in self.cameras(i) if camera in images)
        return {camera: self.read_classes(i, camera, images[camera].shape[:2]) for camera in wanted}

    def read_classes(self, i: int, camera: str, size: tuple[int, ...]) -> UInt8[np.ndarray, "h w"]:
        """Read the train ids of one image of the given ``size`` (rows, columns), 0 = unknown; errors as ``read``."""
        return self._train_ids(self.read_ids(i, camera, size)[0], self._files(i, camera))

    def _train_ids(self, raw: UInt16[np.ndarray, "h w"], files: DenseFiles) -> UInt8[np.ndarray, "h w"]:
        require_generated_classes(read_provenance(files.record), self.frames.taxonomy, files.semantic)
        return self.frames.taxonomy.to_train(raw, source=files.semantic)

    def read_ids(self, i: int, camera: str, size: tuple[int, ...]) -> DenseIds:
        """Read raw semantic and instance ids of one image of the given ``size`` (rows, columns).

        Raises:
            DataError: damaged, or of another size.
        """
        ids = read_dense_files(self._files(i, camera))
        if ids[0].shape != size:
            raise DataError(
                f"{self.path(i, camera)}: expected the size of its image, {_size(size)}, found {_size(ids[0].shape)}. "
                f"{_REMEDY}."
            )
        return ids

    def regions(self, i: int, camera: str) -> UInt32[np.ndarray, "h w"]:
        """Number the objects of one image, and the classes that have no objects: class << 16 | instance, 0 = unknown.

        Raises:
            DataError: damaged, an unknown class, or generated for other classes.
        """
        files = self._files(i, camera)
        raw, instance = read_dense_files(files)
        train = self._train_ids(raw, files)
        return (train.astype(np.uint32) << 16) | np.where(train == IGNORE, 0, instance)

    def path(self, i: int, camera: str) -> Path:
        """Return the file of the semantic ids."""
        return self._files(i, camera).semantic

    def _files(self, i: int, camera: str) -> DenseFiles:
        return self.frames.derived(i, self.kinds[camera], camera)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]} pixels (rows x columns)"


def _folder_of_camera(folders: str, frames: Dataset) -> dict[str, str]:
    """Folder by camera. CAM_FRONT_LEFT_pseudo is a folder of CAM_FRONT_LEFT, also if only CAM_FRONT is selected."""
    found: dict[str, str] = {}
    for folder in parse_names(folders):
        cameras = {*frames.cameras, *frames.available_cameras()}
        camera = max((c for c in cameras if folder.startswith(f"{c}_")), key=len, default="")
        if camera not in frames.cameras or camera in found:
            raise ConfigError(
                "data.dense_labels: expected one folder per camera, beginning with the camera's name (image_2_labels), "
                f"found '{folders}' with the cameras {', '.join(frames.cameras) or 'none'}. Change one of the two "
                "settings."
            )
        found[camera] = folder
    return found
