"""Build the world of one sequence from its seed."""

import numpy as np

from elite.shapes import Float, Float32, UInt32
from elite.synthetic.config import DriveConfig
from elite.synthetic.light import daylight
from elite.synthetic.mesh import soup
from elite.synthetic.raycast import Caster, TriangleScene
from elite.synthetic.scanner import scanner
from elite.synthetic.timing import timing
from elite.synthetic.world import World, collect_paints, stand
from elite.synthetic.world1.ground import ground_parts
from elite.synthetic.world1.lidar import scan
from elite.synthetic.world1.populate import Populator
from elite.synthetic.world1.street import EGO_LANE, Street
from elite.synthetic.world1.traffic import Traffic

_MARGIN = 95.0  # metres of street before and after the drive, for any sensor: equal seeds give equal streets


class World1(World):
    """World whose LiDAR is level above a smooth road."""

    def ego_pose(self, time: float) -> Float[np.ndarray, "4 4"]:
        assert isinstance(self.street, Street)
        return _ego_pose(self.street, self.speed * time, self.scanner.height)

    def scan(
        self, caster: Caster, pose: Float[np.ndarray, "4 4"], rng: np.random.Generator
    ) -> tuple[Float32[np.ndarray, "n 4"], UInt32[np.ndarray, "n"]]:
        return scan(caster, self.paints, pose, self.scanner, rng)


def build_world(config: DriveConfig, sequence: str) -> World1:
    """Build the world of ``sequence`` with all its objects."""
    plan = timing(config, sequence)
    rng = np.random.default_rng((config.seed, int(sequence)))
    street = _plan_street(config, sequence)
    populator = Populator(street, rng)
    standing = ground_parts(street, rng) + populator.fill()
    traffic = Traffic(street, populator, rng, len(standing))
    traffic.fill(plan.speed)
    return World1(
        street=street,
        static=TriangleScene(soup(standing, 0)),
        movers=tuple(traffic.movers),
        paints=collect_paints(standing + traffic.parts),
        light=daylight(rng, float(street.heading(plan.path_length / 2))),
        speed=plan.speed,
        scanner=scanner(config),
    )


def ego_poses(config: DriveConfig, sequence: str, times: Float[np.ndarray, "n"]) -> list[Float[np.ndarray, "4 4"]]:
    """T_world_velo at ``times`` (s)."""
    street, speed, height = _plan_street(config, sequence), timing(config, sequence).speed, scanner(config).height
    return [_ego_pose(street, speed * time, height) for time in times]


def _plan_street(config: DriveConfig, sequence: str) -> Street:
    """Build the street without objects."""
    rng = np.random.default_rng((config.seed, int(sequence), 4))
    return Street(rng, -_MARGIN, timing(config, sequence).path_length + _MARGIN)


def _ego_pose(street: Street, s: float, height: float) -> Float[np.ndarray, "4 4"]:
    """T_world_velo of the ego vehicle at ``s``, whose LiDAR is at ``height`` (m) above the road."""
    lane = EGO_LANE + 0.15 * np.sin(0.23 * s)
    return stand(street, s, lane, 0.0, 2.7, lift=height, on_road=True)
