"""The images of a data set by themselves, for pre-training: no scan is read, and none need be there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int64, Integer, UInt8
from PIL import Image
from torch.utils.data import Dataset

from elite.config import ImageConfig
from elite.datasets.dense_labels import read_dense
from elite.datasets.formats import read_image
from elite.datasets.semantickitti import file_names
from elite.errors import ConfigError, DataError
from elite.labels import to_train
from elite.layout import CAMERAS, Layout, open_layout, parse_frames, parse_sequences, select_sequences
from elite.pixels import jitter
from elite.types import PointPixelPairs, View

Target = Literal["segments", "classes", "none"]
_NO_PAIRS = PointPixelPairs(np.zeros(0, np.int64), np.zeros((0, 2), np.int64))


class Picture(NamedTuple):
    """An image and what is to be learnt about its pixels: segment numbers, train ids 0..19, or nothing (all 0).

    Batches are pictures too, with one more axis in front.
    """

    image: UInt8[np.ndarray, "3 h w"]
    target: Int64[np.ndarray, "h w"]


@dataclass(frozen=True)
class ImageEntry:
    sequence: str
    name: str
    camera: str


class ImageIndex:
    """Which images a selection names; see ``SemanticKITTI`` for its words.

    ``labelled`` are those with dense labels in the camera's ``image_2_labels``.

    Raises:
        DataError: no such image.
        ConfigError: a selection or camera that cannot be understood.
    """

    def __init__(
        self,
        root: str | Path,
        sequences: str | None = None,
        *,
        frames: str | None = None,
        cameras: tuple[str, ...] = ("image_2",),
        without: str = "none",
    ) -> None:
        unknown = [c for c in cameras if c not in CAMERAS]
        if unknown or not cameras:
            raise ConfigError(
                f"data.cameras names {', '.join(unknown) or 'no camera'}; expected some of {', '.join(CAMERAS)}."
            )
        self.layout: Layout = open_layout(root)
        self.cameras = cameras
        there = self.layout.sequences_with("")
        left_out = () if without == "none" else parse_sequences(without, there)
        present, _ = select_sequences(sequences, there, self.layout.root)
        chosen = [s for s in present if s not in left_out]
        wanted = parse_frames(frames)
        self.entries = [entry for s in chosen for c in cameras for entry in self._of_folder(s, c, wanted)]
        if not self.entries:
            raise DataError(
                f"{self.layout.root} has no image {' or '.join(cameras)}/N.png in sequences "
                f"{', '.join(chosen) or 'none'}, frames {frames or 'all'}; found sequences "
                f"{', '.join(there) or 'none'}; check the image archive and the selection."
            )
        self.labelled = [entry for entry in self.entries if self.label_path(entry).exists()]

    def label_path(self, entry: ImageEntry) -> Path:
        return self.layout.dense_labels(entry.sequence, entry.name, label_folder(entry.camera), "semantic")

    def image_path(self, entry: ImageEntry) -> Path:
        return self.layout.image(entry.sequence, entry.name, entry.camera)

    def _of_folder(self, sequence: str, camera: str, wanted: frozenset[int] | None) -> Iterator[ImageEntry]:
        for file in sorted(file_names(self.layout.sequence(sequence) / camera)):
            name = file.removesuffix(".png")
            if name.isdecimal() and name != file and (wanted is None or int(name) in wanted):
                yield ImageEntry(sequence, name, camera)


def label_folder(camera: str) -> str:
    """Where the true dense labels of a camera's images are."""
    return f"{camera}_labels"


class PictureSet(Dataset[Picture]):
    """The images of an index as training pictures, or, without augmentation, as pictures to score on.

    A key is (epoch, i): the same key gives the same picture, in any process. With a ``target`` only images with dense
    labels take part. Augmented: resized, cropped anywhere, jittered, perhaps mirrored. Not: the lowest rows and middle
    columns.

    Raises:
        DataError: dense labels are needed and no image has any; when read: damaged files, sizes that do not fit.
    """

    def __init__(self, index: ImageIndex, image: ImageConfig, *, target: Target, seed: int, augment: bool) -> None:
        self.index, self.image, self.target, self.seed, self.augment = index, image, target, seed, augment
        self.entries = index.entries if target == "none" else index.labelled
        if not self.entries:
            missing = index.label_path(index.entries[0])
            raise DataError(
                f"none of the {len(index.entries)} images has dense labels, expected such as {missing}; make them, or "
                "set --objective reconstruction, which needs the images alone."
            )

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, key: tuple[int, int]) -> Picture:
        epoch, i = key
        entry = self.entries[i]
        image = read_image(self.index.image_path(entry))
        target = self._read_target(entry, image.shape[:2])
        image, target = _resize(image, target, self.image.scale)
        rng = np.random.default_rng((self.seed, epoch, i)) if self.augment else None
        window = self._window(entry, image.shape[:2], rng)
        image, target = image[window], target[window]
        if rng is not None:
            image = jitter(View(entry.camera, image, _NO_PAIRS), self.image.jitter, rng).image
            if rng.random() < self.image.flip:
                image, target = image[:, ::-1], target[:, ::-1]
        if self.target == "segments":
            target = first_come(target)
        return Picture(np.ascontiguousarray(image.transpose(2, 0, 1)), np.ascontiguousarray(target))

    def _read_target(self, entry: ImageEntry, size: tuple[int, ...]) -> Int64[np.ndarray, "h w"]:
        if self.target == "none":
            return np.zeros(size, np.int64)
        path = self.index.label_path(entry)
        semantic, instance = read_dense(self.index.layout, entry.sequence, entry.name, label_folder(entry.camera))
        if semantic.shape != size:
            raise DataError(
                f"{path} is {semantic.shape[0]} x {semantic.shape[1]} pixels (rows x columns) but its image is "
                f"{size[0]} x {size[1]}; make the dense labels again from this image."
            )
        if self.target == "classes":
            return to_train(semantic, source=path).astype(np.int64)
        return segments(semantic, instance)

    def _window(self, entry: ImageEntry, size: tuple[int, ...], rng: np.random.Generator | None) -> tuple[slice, slice]:
        (height, width), (rows, columns) = size, self.image.crop
        if height < rows or width < columns:
            raise DataError(
                f"{self.index.image_path(entry)} is {height} x {width} pixels (rows x columns, after image.scale "
                f"{self.image.scale:g}), but image.crop keeps {rows} x {columns} of them; lower image.crop or raise "
                "image.scale."
            )
        top, left = height - rows, (width - columns) // 2
        if rng is not None:
            top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        return np.s_[top : top + rows, left : left + columns]


def segments(semantic: Integer[np.ndarray, "h w"], instance: Integer[np.ndarray, "h w"]) -> Int64[np.ndarray, "h w"]:
    """Every distinct (semantic, instance) is a segment, unknown and sky too; see ``first_come`` for its number."""
    return first_come((semantic.astype(np.int64) << 16) | instance)


def first_come(ids: Integer[np.ndarray, "h w"]) -> Int64[np.ndarray, "h w"]:
    """Numbers 0, 1, 2, ... in the order in which the ids turn up, row by row.

    Nothing of the ids themselves is left: two maps that part the image alike get the same numbers.
    """
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[inverse.reshape(ids.shape)]


def shuffled_keys(length: int, count: int, seed: int) -> list[tuple[int, int]]:
    """``count`` keys (epoch, i): permutations of 0 .. length - 1, one after the other."""
    epochs = -(-count // length)
    keys = [(e, int(i)) for e in range(epochs) for i in np.random.default_rng((seed, e)).permutation(length)]
    return keys[:count]


def _resize(image: np.ndarray, target: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The image interpolated, the target that of the nearest pixel."""
    if scale == 1:
        return image, target
    height, width = (max(1, round(n * scale)) for n in image.shape[:2])
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    labels = Image.fromarray(target.astype(np.int32)).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(small), np.asarray(labels).astype(np.int64)
