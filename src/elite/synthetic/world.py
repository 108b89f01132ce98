"""World of one sequence: the street with its objects, the traffic, the light."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from elite.shapes import Float, Float32, Int32, UInt32
from elite.synthetic.mesh import Part, Soup
from elite.synthetic.raycast import Caster, TriangleScene
from elite.synthetic.scanner import Scanner

_SIGHT = 75.0  # metres; more distant moving objects are omitted


@dataclass(frozen=True)
class Light:
    """Sun and sky of a sequence; colours are linear RGB, ``sun`` points towards the sun."""

    sun: Float[np.ndarray, "3"]
    sun_color: Float[np.ndarray, "3"]
    zenith: Float[np.ndarray, "3"]
    horizon: Float[np.ndarray, "3"]
    clouds: float
    haze: float
    sky_offset: Float[np.ndarray, "2"]


@dataclass(frozen=True)
class Paints:
    """Paints of all parts as columns; row i belongs to the triangles with ``paint`` i."""

    material: Int32[np.ndarray, "p"]
    label: Int32[np.ndarray, "p"]
    instance: Int32[np.ndarray, "p"]
    color: Float[np.ndarray, "p 3"]
    gain: Float[np.ndarray, "p"]


Positions = Float[np.ndarray, "*#n"] | float


class Street(Protocol):
    """Plan of a street: coordinates s along its centre line and t across it, left positive (m)."""

    @property
    def start(self) -> float:
        """Smallest s."""
        ...

    @property
    def stop(self) -> float:
        """Largest s."""
        ...

    def heading(self, s: Positions) -> Float[np.ndarray, "*n"] | float:
        """Direction of the centre line, radians from the world's x axis."""
        ...

    def locate(self, s: Positions, t: Positions) -> Float[np.ndarray, "*n 2"]:
        """World x, y."""
        ...

    def road(self, s: float, t: float) -> float:
        """World z of the road, as if it were there."""
        ...

    def surface(self, s: float, t: float) -> float:
        """World z of the ground."""
        ...


@dataclass(frozen=True)
class Mover:
    """An object that moves along the street: position at time 0, lane t, speed along s (m, m/s).

    ``follows`` keeps it near the ego vehicle: at the ego's speed, all those before it (or behind it) drawing near
    and falling back together. Others go round and round between the ends of the street, which are out of sight.
    """

    soup: Soup
    start: float
    lane: float
    speed: float
    follows: bool
    length: float

    def place(self, street: Street, time: float) -> tuple[float, float]:
        """(s, yaw to the centre line) at ``time`` seconds."""
        sway = 4.0 * np.sin(0.35 * time + (2.0 if self.start < 0 else 0.0)) if self.follows else 0.0
        span = street.stop - street.start - 4
        s = street.start + 2 + (self.start + self.speed * time + sway - street.start) % span
        return float(s), 0.0 if self.speed >= 0 else np.pi


@dataclass(frozen=True)
class World(ABC):
    """All objects that the sensors of one sequence can measure.

    ``speed`` (m/s) and ``scanner``, the LiDAR, are those of the ego vehicle.
    """

    street: Street
    static: TriangleScene
    movers: tuple[Mover, ...]
    paints: Paints
    light: Light
    speed: float
    scanner: Scanner

    @abstractmethod
    def ego_pose(self, time: float) -> Float[np.ndarray, "4 4"]:
        """T_world_velo at ``time`` seconds."""

    @abstractmethod
    def scan(
        self, caster: Caster, pose: Float[np.ndarray, "4 4"], rng: np.random.Generator
    ) -> tuple[Float32[np.ndarray, "n 4"], UInt32[np.ndarray, "n"]]:
        """Simulate one turn of the LiDAR at ``pose``: (x y z remission in its frame, label words)."""

    def caster(self, time: float) -> Caster:
        """Return a ray caster for the world at ``time``."""
        ego = self.speed * time
        near = []
        for mover in self.movers:
            s, yaw = mover.place(self.street, time)
            if abs(s - ego) < _SIGHT:
                at = stand(self.street, s, mover.lane, yaw, mover.length)
                near.append(_moved_soup(mover.soup, at))
        return Caster(self.static, TriangleScene(_joined(near))) if near else Caster(self.static)


def stand(
    street: Street, s: float, t: float, yaw: float, length: float, *, lift: float = 0.0, on_road: bool = False
) -> Float[np.ndarray, "4 4"]:
    """Pose of an object of ``length`` on the ground at (s, t), rotated by ``yaw`` from the centre line."""
    x, y = street.locate(s, t)
    reach = 0.4 * length
    ahead, aside = reach * np.cos(yaw), reach * np.sin(yaw)
    height = street.road if on_road else street.surface
    back, front = height(s - ahead, t - aside), height(s + ahead, t + aside)
    slope = np.arctan2(front - back, 2 * reach) if length > 0.8 else 0.0
    turn = float(street.heading(s)) + yaw
    cos_t, sin_t, cos_p, sin_p = np.cos(turn), np.sin(turn), np.cos(slope), np.sin(slope)
    matrix = np.eye(4)
    matrix[:3, 0] = cos_t * cos_p, sin_t * cos_p, sin_p
    matrix[:3, 1] = -sin_t, cos_t, 0
    matrix[:3, 2] = -cos_t * sin_p, -sin_t * sin_p, cos_p
    matrix[:3, 3] = x, y, (back + front) / 2
    matrix[:3, 3] += lift * matrix[:3, 2]
    return matrix


def collect_paints(parts: list[Part]) -> Paints:
    """Table whose row i is the paint of part i."""
    paints = [part.paint for part in parts]
    return Paints(
        np.array([p.material for p in paints], np.int32),
        np.array([p.label for p in paints], np.int32),
        np.array([p.instance for p in paints], np.int32),
        np.array([p.color for p in paints], np.float32),
        np.array([p.gain for p in paints], np.float32),
    )


def _moved_soup(piece: Soup, matrix: Float[np.ndarray, "4 4"]) -> Soup:
    rotation = matrix[:3, :3].T.astype(np.float32)
    corners = piece.corners @ rotation + matrix[:3, 3].astype(np.float32)
    attributes = np.concatenate([piece.attributes[..., :3] @ rotation, piece.attributes[..., 3:]], axis=2)
    return Soup(corners, attributes, piece.paint)


def _joined(pieces: list[Soup]) -> Soup:
    columns = ("corners", "attributes", "paint")
    return Soup(*(np.concatenate([getattr(p, name) for p in pieces]) for name in columns))
