"""Build the world of one sequence from its seed."""

from dataclasses import dataclass

import numpy as np

from elite.shapes import Float, Float32, UInt32
from elite.synthetic.config import DriveConfig
from elite.synthetic.light import daylight
from elite.synthetic.mesh import soup
from elite.synthetic.raycast import Caster, TriangleScene
from elite.synthetic.scanner import Scanner
from elite.synthetic.timing import timing
from elite.synthetic.world import Street, World, collect_paints, stand
from elite.synthetic.world2.ground import ground_parts
from elite.synthetic.world2.kerbside import fill_kerbsides
from elite.synthetic.world2.layout import draw_plan
from elite.synthetic.world2.lidar import scan
from elite.synthetic.world2.lot_objects import fill_lot
from elite.synthetic.world2.lots import Plot, draw_lots
from elite.synthetic.world2.markings import marking_parts
from elite.synthetic.world2.mounting import mounted_scanner, sway
from elite.synthetic.world2.plan import Plan
from elite.synthetic.world2.populator import Populator
from elite.synthetic.world2.traffic import Traffic, lanes

_MARGIN = 95.0  # metres of street before and after the drive, for any sensor: equal seeds give equal streets


@dataclass(frozen=True)
class World2(World):
    """World of a street with varied ground, whose LiDAR moves as that of a real vehicle does.

    ``lane`` is the t of the ego vehicle's lane.
    """

    lane: float

    def ego_pose(self, time: float) -> Float[np.ndarray, "4 4"]:
        return _ego_pose(self.street, self.lane, self.scanner, self.speed, time)

    def scan(
        self, caster: Caster, pose: Float[np.ndarray, "4 4"], rng: np.random.Generator
    ) -> tuple[Float32[np.ndarray, "n 4"], UInt32[np.ndarray, "n"]]:
        return scan(caster, self.paints, pose, self.scanner, rng, speed=self.speed)


def build_world(config: DriveConfig, sequence: str) -> World2:
    """Build the world of ``sequence`` with all its objects."""
    rng = np.random.default_rng((config.seed, int(sequence)))
    plan, plots = _plan_street(config, sequence)
    times = timing(config, sequence)
    populator = Populator(plan, rng, config.rare)
    for plot in plots:
        fill_lot(populator, plot)
    fill_kerbsides(populator)
    standing = ground_parts(plan, rng) + marking_parts(plan, rng) + populator.parts
    traffic = Traffic(populator, rng, len(standing))
    traffic.fill(times.speed)
    return World2(
        street=plan,
        static=TriangleScene(soup(standing, 0)),
        movers=tuple(traffic.movers),
        paints=collect_paints(standing + traffic.parts),
        light=daylight(rng, float(plan.heading(times.path_length / 2))),
        speed=times.speed,
        scanner=mounted_scanner(config, sequence),
        lane=lanes(plan)[0],
    )


def ego_poses(config: DriveConfig, sequence: str, times: Float[np.ndarray, "n"]) -> list[Float[np.ndarray, "4 4"]]:
    """T_world_velo at ``times`` (s)."""
    plan, speed = _plan_street(config, sequence)[0], timing(config, sequence).speed
    lane, scanner = lanes(plan)[0], mounted_scanner(config, sequence)
    return [_ego_pose(plan, lane, scanner, speed, time) for time in times]


def _plan_street(config: DriveConfig, sequence: str) -> tuple[Plan, list[Plot]]:
    """Draw the street without objects, and its lots."""
    rng = np.random.default_rng((config.seed, int(sequence), 4))
    length = timing(config, sequence).path_length
    plan = draw_plan(-_MARGIN, length + _MARGIN, length, rng)
    plots, overlays = draw_lots(plan, rng)
    return plan.with_overlays(overlays), plots


def _ego_pose(street: Street, lane: float, scanner: Scanner, speed: float, time: float) -> Float[np.ndarray, "4 4"]:
    """T_world_velo of the ego vehicle at ``time`` (s)."""
    s = speed * time
    aside = lane + 0.15 * np.sin(0.23 * s)
    return stand(street, s, aside, 0.0, 2.7, lift=scanner.height, on_road=True) @ sway(scanner, time)
