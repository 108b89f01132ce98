"""The three-dimensional part of the window: points, cameras, the map, a mark. Sensor frame, metres."""

from collections.abc import Mapping

import numpy as np
import viser
from jaxtyping import Float, Float32, UInt8
from scipy.spatial.transform import Rotation

from elite.geometry import pinhole
from elite.types import Camera
from elite.viewer.colors import Style

BEHIND = ((-17.0, 4.5, 10.0), (9.0, 0.0, -1.5))  # the eye, and what it looks at
ABOVE = ((-1.0, 0.0, 75.0), (0.0, 0.0, 0.0))
_FRUSTUM = 1.6  # metres from a camera's centre to its picture


class Stage:
    """What is drawn; each method puts something in the place of what was there.

    Points and their colours must change in one step: the methods are called within ``server.atomic()``.
    """

    def __init__(self, server: viser.ViserServer) -> None:
        self.server = server
        server.initial_camera.position, server.initial_camera.look_at = map(np.array, BEHIND)
        one = np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8)  # a cloud cannot be empty
        # Halves would move points by centimetres; flat squares have exactly the colour that they are given.
        self._cloud, self._map = (
            server.scene.add_point_cloud(name, *one, visible=False, precision="float32", point_shading="flat")
            for name in ("/scan", "/map")
        )
        self._mark = server.scene.add_icosphere("/mark", radius=0.25, color=(255, 255, 255), visible=False)
        self._cameras: dict[str, tuple[viser.CameraFrustumHandle, Camera, UInt8[np.ndarray, "h w 3"]]] = {}

    def show_cloud(self, points: Float32[np.ndarray, "n 3"], colors: UInt8[np.ndarray, "n 3"], *, size: float) -> None:
        """``size`` is the side of a point in metres."""
        self._fill(self._cloud, points, colors, size)

    def show_map(self, points: Float32[np.ndarray, "n 3"], colors: UInt8[np.ndarray, "n 3"], *, size: float) -> None:
        """Points of the street, in the street's frame; none to hide it."""
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

    def place_map(self, T_velo_street: Float[np.ndarray, "4 4"]) -> None:
        """Put the street where the sensor sees it now."""
        self._map.wxyz = Rotation.from_matrix(T_velo_street[:3, :3]).as_quat(scalar_first=True)
        self._map.position = T_velo_street[:3, 3]

    def show_cameras(
        self, cameras: Mapping[str, Camera], images: Mapping[str, UInt8[np.ndarray, "h w 3"]], look: Style
    ) -> None:
        """The frustum of every camera that has an image, with the image in it."""
        for name, (handle, camera, picture) in [*self._cameras.items()]:
            if name not in images or not _same_place(camera, cameras[name], picture, images[name]):
                handle.remove()
                del self._cameras[name]
        for name, image in images.items():
            handle, camera, picture = self._cameras.get(name, (None, cameras[name], None))
            if handle is None:
                handle = self._add_camera(camera, image)
            handle.color = look.frustum
            if picture is not image:
                handle.image = np.ascontiguousarray(image[::2, ::2])  # it is small in the scene
            self._cameras[name] = handle, camera, image

    def _add_camera(self, camera: Camera, image: UInt8[np.ndarray, "h w 3"]) -> viser.CameraFrustumHandle:
        K, R_velo_cam, centre = pinhole(camera)
        height, width = image.shape[:2]
        return self.server.scene.add_camera_frustum(
            f"/cameras/{camera.name}",
            fov=float(2 * np.arctan(height / 2 / K[1, 1])),
            aspect=width / height * float(K[1, 1] / K[0, 0]),
            scale=_FRUSTUM,
            wxyz=Rotation.from_matrix(R_velo_cam).as_quat(scalar_first=True),
            position=centre,
        )

    def mark(self, point: Float32[np.ndarray, "3"] | None, look: Style) -> None:
        """A ball around the point that was picked; None = no ball."""
        self._mark.visible = point is not None
        if point is not None:
            self._mark.position, self._mark.color = point, look.mark

    def look(self, eye: tuple[float, float, float], at: tuple[float, float, float]) -> None:
        """Move every window's eye."""
        for client in self.server.get_clients().values():
            with client.atomic():
                client.camera.up_direction = (0.0, 0.0, 1.0)
                client.camera.position, client.camera.look_at = eye, at


def _same_place(one: Camera, other: Camera, image: np.ndarray, next_image: np.ndarray) -> bool:
    """Whether a camera's frustum serves another frame; sequences differ in their calibration."""
    return image.shape == next_image.shape and np.array_equal(one.projection, other.projection)
