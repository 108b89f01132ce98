"""Images of a data set without their scans, for the training of a teacher."""

from typing import Literal, NamedTuple

import numpy as np
from torch.utils import data as torch_data

from elite.config import ImageConfig
from elite.data.sampler import SampleKey
from elite.datasets import Dataset, ImageRef
from elite.datasets.dense_labels import DenseLabels
from elite.datasets.formats import read_image
from elite.errors import DataError
from elite.layout import label_folder
from elite.pixels import prepare
from elite.shapes import Int32, Int64, Integer, UInt8
from elite.types import PointPixelPairs, View

Target = Literal["segments", "classes", "none"]
_NO_PAIRS = PointPixelPairs(np.zeros(0, np.int64), np.zeros((0, 2), np.int64))


class ImageSample(NamedTuple):
    """An image and the target of its pixels: segment numbers, train ids, or zeros without a target.

    Batches have one more axis in front.
    """

    image: UInt8[np.ndarray, "3 h w"]
    target: Int64[np.ndarray, "h w"]


class ImageSet(torch_data.Dataset[ImageSample]):
    """Images of a data set as samples. The same key gives the same sample in any process.

    Args:
        frames: the data set.
        image: scale, crop and augmentation.
        target: target of the pixels. Images without dense labels are skipped, except for ``none``.
        seed: of the augmentation.
        augment: crop anywhere, jitter and mirror at random. Otherwise, the lowest rows and middle columns are kept.

    Attributes:
        images: number of the frame, and image, of each sample: by sequence, camera and name.

    Raises:
        DataError: no image has the required dense labels. When read: damaged files, or sizes that do not match.
    """

    def __init__(self, frames: Dataset, image: ImageConfig, *, target: Target, seed: int, augment: bool) -> None:
        self.frames, self.image, self.target, self.seed, self.augment = frames, image, target, seed, augment
        self.dense = DenseLabels(frames, ",".join(label_folder(camera) for camera in frames.cameras))
        images = _by_camera(frames)
        self.images = images if target == "none" else [x for x in images if x[1].camera in self.dense.cameras(x[0])]
        if not self.images:
            i, first = images[0]
            raise DataError(
                f"{self.dense.path(i, first.camera)}: expected dense labels for some of the {len(images)} images, "
                "found none. Add them, or set --objective reconstruction, which requires images only."
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: SampleKey | tuple[int, int]) -> ImageSample:
        epoch, index, _ = SampleKey.of(key)
        i, ref = self.images[index]
        image = read_image(ref.path)
        rng = np.random.default_rng((self.seed, epoch, index)) if self.augment else None
        view = View(ref.camera, image, _NO_PAIRS, self._read_target(i, ref.camera, image.shape[:2]))
        view = prepare(view, self.image, rng, source=ref.path, any_row=True)
        target = np.zeros(view.image.shape[:2]) if view.labels is None else view.labels
        if self.target == "segments":
            target = number_by_appearance(target)
        return ImageSample(
            np.ascontiguousarray(view.image.transpose(2, 0, 1)), np.ascontiguousarray(target, dtype=np.int64)
        )

    def _read_target(
        self, i: int, camera: str, size: tuple[int, ...]
    ) -> UInt8[np.ndarray, "h w"] | Int32[np.ndarray, "h w"] | None:
        if self.target == "none":
            return None
        if self.target == "classes":
            return self.dense.read_classes(i, camera, size)
        return segment_numbers(*self.dense.read_ids(i, camera, size)).astype(np.int32)


def _by_camera(frames: Dataset) -> list[tuple[int, ImageRef]]:
    images = [(i, image) for i in range(len(frames)) for image in frames.images(i)]
    place = {s: n for n, s in enumerate(dict.fromkeys(frame_id.sequence for frame_id in frames.ids))}
    return sorted(images, key=lambda x: (place[frames.ids[x[0]].sequence], frames.cameras.index(x[1].camera)))


def segment_numbers(
    semantic: Integer[np.ndarray, "h w"], instance: Integer[np.ndarray, "h w"]
) -> Int64[np.ndarray, "h w"]:
    """Number each distinct (semantic, instance) pair, unknown and sky included; see ``number_by_appearance``."""
    return number_by_appearance((semantic.astype(np.int64) << 16) | instance)


def number_by_appearance(ids: Integer[np.ndarray, "h w"]) -> Int64[np.ndarray, "h w"]:
    """Replace ids by 0, 1, 2, ... in the order of their first pixels, row by row.

    The result depends on the partition of the image only, not on the ids.
    """
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[inverse.reshape(ids.shape)]


def shuffled_keys(length: int, count: int, seed: int) -> list[SampleKey]:
    """Return the first ``count`` keys of consecutive epochs, each a permutation of 0 .. length - 1."""
    epochs = -(-count // length)
    keys = [SampleKey(e, int(i)) for e in range(epochs) for i in np.random.default_rng((seed, e)).permutation(length)]
    return keys[:count]
