"""What flows from labelled points to dense labels of one image: seeds, prompts, masks, and the labels."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, UInt8, UInt16

from elite.labels import IGNORE
from elite.types import Camera, Frame


class Sum:
    """A record of counts, lists and such records that can be added, field by field."""

    def __add__(self: "_Sum", other: "_Sum") -> "_Sum":
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))  # type: ignore[arg-type]


class Columns:
    """A record of equally long arrays, whose rows belong together."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))  # type: ignore[arg-type]

    def rows(self: "_Columns", rows: Int64[np.ndarray, "kept"] | Bool[np.ndarray, "all"]) -> "_Columns":
        """Some of the rows."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))  # type: ignore[arg-type]

    @classmethod
    def concatenate(cls: "type[_Columns]", parts: "Sequence[_Columns]", size: tuple[int, int]) -> "_Columns":
        """The rows of all parts; of none of them, if there is no part, for an image of ``size``."""
        parts = parts or [cls.none(size)]
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))  # type: ignore[arg-type]

    @classmethod
    def none(cls: "type[_Columns]", size: tuple[int, int]) -> "_Columns":
        """No row, of an image of ``size``."""
        raise NotImplementedError


_Sum = TypeVar("_Sum", bound=Sum)
_Columns = TypeVar("_Columns", bound=Columns)


@dataclass(frozen=True)
class LabelledView:
    """What one camera sees of a labelled scan: the whole scan, and the camera's image.

    Attributes:
        points: in the sensor frame (m).
        labels: their train ids, 0 = no label.
        instance: their instance ids, 0 = none, or no label.
    """

    points: Float32[np.ndarray, "n 3"]
    labels: UInt8[np.ndarray, "n"]
    instance: UInt16[np.ndarray, "n"]
    camera: Camera
    image: UInt8[np.ndarray, "h w 3"]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        return self.image.shape[0], self.image.shape[1]

    def without(self, hide: Bool[np.ndarray, "n"]) -> "LabelledView":
        """As if some of the points had never been measured."""
        return replace(self, points=self.points[~hide], labels=self.labels[~hide], instance=self.instance[~hide])


def view_of(frame: Frame, camera: Camera) -> LabelledView:
    """A camera's view of a frame that has labels and an image of this camera."""
    assert frame.labels is not None
    assert frame.objects is not None
    instance = np.where(frame.labels != IGNORE, frame.objects & 0xFFFF, 0).astype(np.uint16)
    return LabelledView(frame.scan.points, frame.labels, instance, camera, frame.images[camera.name])


@dataclass(frozen=True)
class Seeds:
    """The labelled points that a camera sees, at their pixels: at most one at a pixel, for the nearest point owns it.

    A *segment* is what should become one region: all seeds of one object, or connected seeds of one class without an
    object number. Segments are numbered 0, 1, ... by falling size. A *thing* is an object, or all of a class that is no
    object: two patches of road are one thing. Instance ids may recur in another class.

    Attributes:
        pixel: (row, column) of each seed.
        segment: its segment.
        depth: its distance along the optical axis (m).
        label, instance: train id 1..19 and instance id of each segment; 0 = no object of its own.
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
    def thing_of_segment(self) -> Int64[np.ndarray, "segments"]:
        return self._things[1]

    @cached_property
    def thing(self) -> Int64[np.ndarray, "seeds"]:
        return self.thing_of_segment[self.segment]

    @cached_property
    def thing_label(self) -> UInt8[np.ndarray, "things"]:
        return (self._things[0] >> 16).astype(np.uint8)

    @cached_property
    def thing_instance(self) -> UInt16[np.ndarray, "things"]:
        return (self._things[0] & 0xFFFF).astype(np.uint16)

    @cached_property
    def _things(self) -> tuple[np.ndarray, np.ndarray]:
        key = (self.label.astype(np.int64) << 16) | self.instance
        unique, inverse = np.unique(key, return_inverse=True)
        return unique, inverse.reshape(-1)


@dataclass(frozen=True)
class Prompt:
    """Asks for the region of one segment: pixels (row, column) that are inside of it, and what its seeds say.

    A proposer that takes mask prompts draws the seeds as logits: those of the segment itself, those of its class that
    belong to no object (they may well go with it), those of other objects of its class, and all others.
    """

    segment: int
    points: Int64[np.ndarray, "points 2"]
    own: float = 16.0
    akin: float = 0.0
    sibling: float = -16.0
    other: float = -16.0


@dataclass(frozen=True)
class Masks(Columns):
    """Proposed regions, several of them perhaps for one prompt.

    Attributes:
        prompt: which of the prompts each answers.
        inside: its pixels.
        iou: the proposer's own estimate of its quality, 0..1 (1 where it makes none).
        stability: IoU of the region drawn a little tighter and a little wider, 0..1 (1 where that means nothing).
    """

    prompt: Int64[np.ndarray, "masks"]
    inside: Bool[np.ndarray, "masks h w"]
    iou: Float32[np.ndarray, "masks"]
    stability: Float32[np.ndarray, "masks"]

    @classmethod
    def none(cls, size: tuple[int, int]) -> "Masks":
        nothing = np.zeros(0, np.float32)
        return cls(np.zeros(0, np.int64), np.zeros((0, *size), bool), nothing, nothing)


@runtime_checkable
class Session(Protocol):
    """A proposer that has looked at one image and its seeds."""

    def propose(self, prompts: list[Prompt]) -> Masks:
        """Regions for some prompts, at the image's own size."""
        ...


@runtime_checkable
class Proposer(Protocol):
    """Anything that turns prompts into regions. One of your own goes into a file of yours: --proposer module:Class.

    Attributes:
        max_prompts: how many prompts an image is worth, None where a prompt costs nothing.
    """

    max_prompts: int | None

    def open(self, image: UInt8[np.ndarray, "h w 3"], seeds: Seeds) -> Session:
        """Look at an image once; what follows asks only for regions."""
        ...

    def describe(self) -> dict[str, Any]:
        """What the results depend on (name, settings, a hash of the weights), as plain values for the record."""
        ...


@dataclass(frozen=True)
class DenseLabel:
    """Labels of every pixel: train ids and instance ids, 0 = unknown. ``prompts`` counts those that were decoded."""

    label: UInt8[np.ndarray, "h w"]
    instance: UInt16[np.ndarray, "h w"]
    prompts: int
