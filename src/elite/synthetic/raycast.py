"""Cast rays into the street. Static and moving objects are separate scenes; the nearer hit counts."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from elite.errors import MissingExtraError
from elite.shapes import Bool, Float, Int32
from elite.synthetic.mesh import Soup


@dataclass(frozen=True)
class Hits:
    """Hits of n rays. ``paint`` is -1 and ``distance`` infinite for rays without a hit; normals face the viewer."""

    distance: Float[np.ndarray, "n"]
    position: Float[np.ndarray, "n 3"]
    normal: Float[np.ndarray, "n 3"]
    uv: Float[np.ndarray, "n 2"]
    paint: Int32[np.ndarray, "n"]
    cosine: Float[np.ndarray, "n"]


def load_embree() -> tuple[Any, Any]:
    """(EmbreeScene, TriangleMesh).

    Raises:
        MissingExtraError: embreex is not installed.
    """
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        raise MissingExtraError("embreex", "synth") from error
    return EmbreeScene, TriangleMesh


class TriangleScene:
    """One set of triangles, prepared for ray casting."""

    def __init__(self, soup: Soup) -> None:
        embree_scene, triangle_mesh = load_embree()
        self.soup = soup
        self._scene = embree_scene()
        triangle_mesh(self._scene, soup.corners)

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> dict[str, np.ndarray]:
        """Embree's record of the nearest hits: primID (-1 for none), tfar, u, v."""
        return self._scene.run(origins, directions, query="INTERSECT", output=True)

    def blocked(self, origins: np.ndarray, directions: np.ndarray, distance: np.ndarray) -> np.ndarray:
        return self._scene.run(origins, directions, distance, query="OCCLUDED") >= 0


class Caster:
    """Casts rays against all triangles of one frame."""

    def __init__(self, *scenes: TriangleScene) -> None:
        self._scenes = scenes

    def cast(self, origins: Float[np.ndarray, "... 3"], directions: Float[np.ndarray, "n 3"]) -> Hits:
        """Nearest hit of each ray, from one origin or one per ray; unit ``directions``. World frame."""
        origins, directions = _rays(origins, directions)
        n = len(directions)
        best, paint = np.full(n, np.inf, np.float32), np.full(n, -1, np.int32)
        attributes = np.zeros((n, 5), np.float32)
        for scene in self._scenes:
            found = scene.cast(origins, directions)
            rows = np.flatnonzero((found["primID"] >= 0) & (found["tfar"] < best))
            face, soup = found["primID"][rows], scene.soup
            best[rows], paint[rows] = found["tfar"][rows], soup.paint[face]
            attributes[rows] = _interpolate(soup.attributes[face], found["u"][rows], found["v"][rows])
        normal, cosine = _toward_viewer(attributes[:, :3], directions)
        position = origins + directions * np.where(np.isfinite(best), best, 0)[:, None]
        return Hits(best, position, normal, attributes[:, 3:], paint, cosine)

    def blocked(
        self,
        origins: Float[np.ndarray, "... 3"],
        directions: Float[np.ndarray, "n 3"],
        distance: Float[np.ndarray, "n"] | float,
    ) -> Bool[np.ndarray, "n"]:
        """Whether there is a hit within ``distance`` along each ray."""
        origins, directions = _rays(origins, directions)
        distance = np.ascontiguousarray(np.broadcast_to(distance, len(directions)), np.float32)
        return np.any([s.blocked(origins, directions, distance) for s in self._scenes], axis=0)


def _rays(origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    directions = np.ascontiguousarray(directions, np.float32)
    return np.ascontiguousarray(np.broadcast_to(origins, directions.shape), np.float32), directions


def _interpolate(corners: np.ndarray, second: np.ndarray, third: np.ndarray) -> np.ndarray:
    """Values at hits, (n, 3 corners, k) -> (n, k); ``second`` and ``third`` are the shares of those corners."""
    share = np.stack([1 - second - third, second, third], axis=1)
    return np.einsum("nc,nck->nk", share, corners)


def _toward_viewer(normal: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit normals on the viewer's side, and the cosine of the angle of incidence."""
    length = np.sqrt(np.einsum("ij,ij->i", normal, normal))
    cosine = np.einsum("ij,ij->i", normal, directions) / np.maximum(length, 1e-9)
    scale = np.where(cosine > 0, -1, 1) / np.maximum(length, 1e-9)
    return normal * scale[:, None].astype(np.float32), np.abs(cosine)
