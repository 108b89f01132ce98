"""Dense image labels: a semantic and an instance PNG per image, 16-bit grey, raw ids, 0 = unknown or sky."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8, UInt16, UInt32
from PIL import Image

from elite.datasets.semantickitti import FrameIndex, SemanticKITTI, file_names
from elite.errors import ConfigError, DataError
from elite.files import TEXT_BYTES, open_image, parse_json, read_file, write_bytes
from elite.labels import IGNORE, to_train
from elite.layout import Layout, parse_names


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
    for kind, ids in (("semantic", semantic), ("instance", instance)):
        write_bytes(layout.dense_labels(sequence, name, folder, kind), encode_ids(ids))


def read_dense(
    layout: Layout, sequence: str, name: str, folder: str
) -> tuple[UInt16[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]:
    """(semantic, instance) of one image.

    Raises:
        DataError: a file is missing, damaged, not 16-bit grey, or the two differ in size.
    """
    semantic, instance = (
        _decode(layout.dense_labels(sequence, name, folder, kind)) for kind in ("semantic", "instance")
    )
    if semantic.shape != instance.shape:
        raise DataError(
            f"dense labels of {sequence}/{name} in {folder} differ in size: semantic {semantic.shape}, "
            f"instance {instance.shape}; make both again."
        )
    return semantic, instance


def encode_ids(ids: UInt16[np.ndarray, "h w"]) -> bytes:
    """One map as the bytes of a 16-bit PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(ids, dtype=np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def _decode(path: Path) -> UInt16[np.ndarray, "h w"]:
    with open_image(path, "PNG", remedy="make the dense labels again") as image:
        mode, ids = image.mode, np.array(image)
    if not mode.startswith("I;16"):
        raise DataError(f"{path} has pixel mode {mode}, expected 16-bit grey (I;16); make the dense labels again.")
    return ids.astype(np.uint16)


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
