"""Records between the labelled points and the dense label of one image: seeds, prompts, masks, dense label."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from elite.beams import Beams
from elite.shapes import Bool, Float, Float32, Int64, UInt8, UInt16
from elite.taxonomy import IGNORE
from elite.types import Camera, Frame


class Addable:
    """A record whose fields (counts, lists, other such records) are added one by one."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))  # type: ignore[arg-type]


class Columns:
    """A record of arrays of equal length, whose rows belong together."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))  # type: ignore[arg-type]

    def select(self, rows: Int64[np.ndarray, "kept"] | Bool[np.ndarray, "all"]) -> Self:
        """Return some of the rows."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))  # type: ignore[arg-type]

    @classmethod
    def concat(cls, parts: Sequence[Self], size: tuple[int, int]) -> Self:
        """Concatenate the rows of all parts, which belong to an image of ``size``. Without parts, return no rows."""
        parts = parts or [cls.empty(size)]
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))  # type: ignore[arg-type]

    @classmethod
    def empty(cls, size: tuple[int, int]) -> Self:
        """Return a record without rows, for an image of ``size``."""
        raise NotImplementedError


@dataclass(frozen=True)
class LabelledView:
    """A labelled scan with one camera and its image.

    Attributes:
        points: all points of the scan, in the sensor frame (m).
        labels: train id of each point, 0 = no label.
        instance: instance id of each point, 0 = no instance or no label.
        beams: of the LiDAR, for the occlusion test.
    """

    points: Float32[np.ndarray, "n 3"]
    labels: UInt8[np.ndarray, "n"]
    instance: UInt16[np.ndarray, "n"]
    camera: Camera
    image: UInt8[np.ndarray, "h w 3"]
    beams: Beams | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        return self.image.shape[0], self.image.shape[1]

    def without(self, hide: Bool[np.ndarray, "n"]) -> "LabelledView":
        """Remove some of the points."""
        return replace(self, points=self.points[~hide], labels=self.labels[~hide], instance=self.instance[~hide])


def view_of(frame: Frame, camera: Camera) -> LabelledView:
    """Return the view of a camera, for a frame that has labels and an image of this camera."""
    assert frame.labels is not None
    assert frame.objects is not None
    instance = np.where(frame.labels != IGNORE, frame.objects & 0xFFFF, 0).astype(np.uint16)
    return LabelledView(frame.scan.points, frame.labels, instance, camera, frame.images[camera.name], frame.beams)


@dataclass(frozen=True)
class Seeds:
    """Labelled points in view, at their pixels. A pixel has at most one seed: the nearest point.

    A *segment* is a group of seeds that should become one region: all seeds of one object, or connected seeds of one
    class without instance ids. Segments are numbered 0, 1, ... in descending size. An *entity* is an object, or all
    seeds of a class without instance ids: two patches of road are two segments of one entity. Instance ids are unique
    within a class only.

    Attributes:
        pixel: (row, column) of each seed.
        segment: segment of each seed.
        depth: distance of each seed along the optical axis (m).
        label, instance: train id 1..19 and instance id of each segment; 0 = no instance.
        size: rows and columns of the image.
    """

    pixel: Int64[np.ndarray, "seeds 2"]
    segment: Int64[np.ndarray, "seeds"]
    depth: Float[np.ndarray, "seeds"]
    label: UInt8[np.ndarray, "segments"]
    instance: UInt16[np.ndarray, "segments"]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.pixel)

    @cached_property
    def entity_of_segment(self) -> Int64[np.ndarray, "segments"]:
        return self._entities[1]

    @cached_property
    def entity(self) -> Int64[np.ndarray, "seeds"]:
        return self.entity_of_segment[self.segment]

    @cached_property
    def entity_label(self) -> UInt8[np.ndarray, "entities"]:
        return (self._entities[0] >> 16).astype(np.uint8)

    @cached_property
    def entity_instance(self) -> UInt16[np.ndarray, "entities"]:
        return (self._entities[0] & 0xFFFF).astype(np.uint16)

    @cached_property
    def _entities(self) -> tuple[np.ndarray, np.ndarray]:
        key = (self.label.astype(np.int64) << 16) | self.instance
        unique, inverse = np.unique(key, return_inverse=True)
        return unique, inverse.reshape(-1)


@dataclass(frozen=True)
class Prompt:
    """Request for the region of one segment.

    A proposer with mask prompts draws the seeds as logits. Seeds of the same class without instance ids are neutral by
    default, because they may belong to the same region.

    Attributes:
        segment: number of the segment.
        points: (row, column) of pixels inside the region.
        segment_logit: logit of the seeds of the segment.
        class_logit: logit of seeds of the same class without instance ids.
        object_logit: logit of other objects of the same class.
        other_logit: logit of all other seeds.
    """

    segment: int
    points: Int64[np.ndarray, "points 2"]
    segment_logit: float = 16.0
    class_logit: float = 0.0
    object_logit: float = -16.0
    other_logit: float = -16.0


@dataclass(frozen=True)
class Masks(Columns):
    """Proposed regions; one prompt may have several.

    Attributes:
        prompt: position of the prompt of each region.
        inside: pixels of each region.
        iou: quality predicted by the proposer, 0..1 (1 if it predicts none).
        stability: IoU between a slightly tighter and a slightly wider version of the region, 0..1 (1 if not defined).
    """

    prompt: Int64[np.ndarray, "masks"]
    inside: Bool[np.ndarray, "masks h w"]
    iou: Float32[np.ndarray, "masks"]
    stability: Float32[np.ndarray, "masks"]

    @classmethod
    def empty(cls, size: tuple[int, int]) -> "Masks":
        none = np.zeros(0, np.float32)
        return cls(np.zeros(0, np.int64), np.zeros((0, *size), bool), none, none)


@runtime_checkable
class Session(Protocol):
    """A proposer with one encoded image."""

    def propose(self, prompts: list[Prompt]) -> Masks:
        """Propose regions for some prompts, at the size of the image."""
        ...


@runtime_checkable
class Proposer(Protocol):
    """Converts prompts to regions. To use your own class: --proposer package.module:Class.

    Attributes:
        max_prompts: maximum number of prompts per image; None = no limit, if prompts are free.
    """

    max_prompts: int | None

    def open(self, image: UInt8[np.ndarray, "h w 3"], seeds: Seeds) -> Session:
        """Encode an image once, for any number of prompts."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return everything that the regions depend on (name, settings, hash of the weights) as plain values."""
        ...


@dataclass(frozen=True)
class DenseLabel:
    """Train id and instance id of every pixel, 0 = unknown; ``prompts`` is the number of prompts used."""

    label: UInt8[np.ndarray, "h w"]
    instance: UInt16[np.ndarray, "h w"]
    prompts: int
