"""3D scene of the window: points, cameras, map, marker. Sensor frame, metres."""

from collections.abc import Mapping

import numpy as np
import viser

from elite.geometry import pinhole
from elite.rotations import to_quaternion
from elite.shapes import Float, Float32, UInt8
from elite.types import Camera
from elite.viewer.colors import Style

BEHIND = ((-17.0, 4.5, 10.0), (9.0, 0.0, -1.5))  # position and target of the view
ABOVE = ((-1.0, 0.0, 75.0), (0.0, 0.0, 0.0))
_FRUSTUM = 1.6  # metres from the centre of a camera to its image


class SceneView:
    """Objects of the scene; each method replaces one of them.

    Call the methods within ``server.atomic()``: points and their colours must change in one step.
    """

    def __init__(self, server: viser.ViserServer) -> None:
        self.server = server
        server.initial_camera.position, server.initial_camera.look_at = map(np.array, BEHIND)
        one = np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8)  # viser requires at least one point
        # float16 would move points by centimetres; flat shading keeps the exact colours.
        self._cloud, self._map = (
            server.scene.add_point_cloud(name, *one, visible=False, precision="float32", point_shading="flat")
            for name in ("/scan", "/map")
        )
        self._mark = server.scene.add_icosphere("/mark", radius=0.25, color=(255, 255, 255), visible=False)
        self._cameras: dict[str, tuple[viser.CameraFrustumHandle, Camera, UInt8[np.ndarray, "h w 3"]]] = {}

    def show_cloud(self, points: Float32[np.ndarray, "n 3"], colors: UInt8[np.ndarray, "n 3"], *, size: float) -> None:
        """Replace the scan; ``size`` is the side of a point in metres."""
        self._fill(self._cloud, points, colors, size)

    def show_map(self, points: Float32[np.ndarray, "n 3"], colors: UInt8[np.ndarray, "n 3"], *, size: float) -> None:
        """Replace the map, in its own frame; no points hide it."""
        self._fill(self._map, points, colors, size)

    def _fill(
        self,
        handle: viser.PointCloudHandle,
        points: Float32[np.ndarray, "n 3"],
        colors: UInt8[np.ndarray, "n 3"],
        size: float,
    ) -> None:
        handle.visible = len(points) > 0
        if len(points):
            handle.points, handle.colors, handle.point_size = points, colors, size

    def place_map(self, T_velo_map: Float[np.ndarray, "4 4"]) -> None:
        """Move the map to its pose in the current sensor frame."""
        self._map.wxyz = np.roll(to_quaternion(T_velo_map[:3, :3]), 1)
        self._map.position = T_velo_map[:3, 3]

    def show_cameras(
        self, cameras: Mapping[str, Camera], images: Mapping[str, UInt8[np.ndarray, "h w 3"]], style: Style
    ) -> None:
        """Show the frustum of every camera with an image, and the image in it."""
        for name, (handle, camera, picture) in [*self._cameras.items()]:
            if name not in images or not _same_place(camera, cameras[name], picture, images[name]):
                handle.remove()
                del self._cameras[name]
        for name, image in images.items():
            handle, camera, picture = self._cameras.get(name, (None, cameras[name], None))
            if handle is None:
                handle = self._add_camera(camera, image)
            handle.color = style.frustum
            if picture is not image:
                handle.image = np.ascontiguousarray(image[::2, ::2])  # half resolution suffices
            self._cameras[name] = handle, camera, image

    def _add_camera(self, camera: Camera, image: UInt8[np.ndarray, "h w 3"]) -> viser.CameraFrustumHandle:
        K, R_velo_cam, centre = pinhole(camera)
        height, width = image.shape[:2]
        return self.server.scene.add_camera_frustum(
            f"/cameras/{camera.name}",
            fov=float(2 * np.arctan(height / 2 / K[1, 1])),
            aspect=width / height * float(K[1, 1] / K[0, 0]),
            scale=_FRUSTUM,
            wxyz=np.roll(to_quaternion(R_velo_cam), 1),
            position=centre,
        )

    def mark(self, point: Float32[np.ndarray, "3"] | None, style: Style) -> None:
        """Mark the selected point with a ball; None = no ball."""
        self._mark.visible = point is not None
        if point is not None:
            self._mark.position, self._mark.color = point, style.mark

    def move_camera(self, position: tuple[float, float, float], target: tuple[float, float, float]) -> None:
        """Move the view of every browser."""
        for client in self.server.get_clients().values():
            with client.atomic():
                client.camera.up_direction = (0.0, 0.0, 1.0)
                client.camera.position, client.camera.look_at = position, target


def _same_place(one: Camera, other: Camera, image: np.ndarray, next_image: np.ndarray) -> bool:
    """Whether a frustum can be reused for another frame; sequences have different calibrations."""
    return image.shape == next_image.shape and np.array_equal(one.projection, other.projection)
