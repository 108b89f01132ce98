"""Rendered LiDARs: their records, mounting, lost returns and remission, and what they leave as it was."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest

from elite.datasets.formats import split_label
from elite.errors import ConfigError
from elite.inspection.comparison import mean_statistics
from elite.inspection.scan_statistics import ComparedScan
from elite.sensor import load_sensor, packaged_sensors
from elite.sensor_rendering import RemissionResponse, SensorRendering
from tests.support.semantickitti import KITTI
from tests.support.streets import short_streets

pytest.importorskip("trimesh")
pytest.importorskip("embreex")

from elite.synthetic import DriveConfig
from elite.synthetic.build import open_world
from elite.synthetic.materials import Material
from elite.synthetic.scanner import Scanner
from elite.synthetic.timing import timing
from elite.synthetic.world import World
from elite.synthetic.world2.lidar import scan
from elite.synthetic.world2.mounting import mounted_scanner, sway
from elite.synthetic.world2.response import Surfaces, entered, reflectivity, remission

DRIVE = DriveConfig(sequences=1, frames=4, world=2, sensor="hdl-64e", image_width=16, image_height=16)


def described(folder: Path, text: str) -> Path:
    (folder / "own.yaml").write_text(text)
    return folder / "own.yaml"


# ---- records ------------------------------------------------------------------------------------------------------


def test_rendering_of_an_own_sensor_completes_that_of_its_preset(tmp_path) -> None:
    path = described(tmp_path, "preset: hdl-64e\nname: own\nrendering: {tilt: 0.1, remission: {gain: 0.5}}\n")
    own, preset = load_sensor(path).rendering, load_sensor("hdl-64e").rendering
    assert own is not None
    assert preset is not None
    changed = dataclasses.replace(preset.remission, gain=0.5)
    assert own == dataclasses.replace(preset, tilt=0.1, remission=changed)
    assert load_sensor(path) == dataclasses.replace(load_sensor("hdl-64e"), name="own")  # students do not depend on it
    assert "rendering" not in load_sensor(path).to_dict()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rendering: {tlit: 1}", "line 2: rendering: expected settings among .*Replace 'tlit' by 'tilt'"),
        ("rendering: {remission: {gian: 1}}", "rendering.remission: .*Replace 'gian' by 'gain'"),
        ("rendering: {loss: 2}", "line 2: loss: expected a number from 0 to 0.99, found 2"),
        ("rendering: {height_offsets: [0.1, 0]}", "height_offsets: expected .smallest, largest."),
        ("rendering: {body: [[[0, 0, 0], [1, 1, 0]]]}", "body: expected boxes .low, high."),
        ("rendering: {elevations: [1, 2]}", "as many rendering.elevations as elevations, found 2"),
        ("rendering: 3", "rendering: expected settings, found 3"),
    ],
)
def test_impossible_rendering_is_refused(tmp_path, text, message) -> None:
    with pytest.raises(ConfigError, match=message):
        load_sensor(described(tmp_path, f"preset: hdl-64e\n{text}\n"))


@pytest.mark.parametrize("name", packaged_sensors())
def test_written_sensor_keeps_its_rendering(tmp_path, name) -> None:
    from elite.sensor import write_sensor

    sensor = load_sensor(name)
    write_sensor(tmp_path / "sensor.yaml", sensor)
    assert load_sensor(tmp_path / "sensor.yaml").rendering == sensor.rendering


def test_drive_of_world_1_has_no_rendering() -> None:
    """Its files are those of earlier versions."""
    assert "rendering" not in dataclasses.replace(DRIVE, world=1).to_json()["sensor"]
    assert DRIVE.to_json()["sensor"]["rendering"]["firings"] == 2168


# ---- mounting -----------------------------------------------------------------------------------------------------


def test_mounting_height_varies_between_sequences() -> None:
    scanners = [mounted_scanner(DRIVE, sequence) for sequence in ("00", "08")]
    heights = [scanner.height for scanner in scanners]
    assert all(1.70 <= height <= 1.85 for height in heights)
    assert heights[0] != heights[1]


def test_sway_is_small_smooth_and_of_the_stated_deviation() -> None:
    scanner = mounted_scanner(DRIVE, "00")
    moves = np.array([sway(scanner, time) for time in np.arange(0, 300, 0.05)])
    pitch = np.rad2deg(np.arcsin(moves[:, 0, 2]))
    assert pitch.std() == pytest.approx(0.7, rel=0.1)
    assert moves[:, 2, 3].std() == pytest.approx(0.02, rel=0.1)
    assert np.abs(np.diff(pitch)).max() < 0.6
    np.testing.assert_allclose(
        moves[:, :3, :3] @ moves[:, :3, :3].transpose(0, 2, 1), np.eye(3)[None] + 0 * moves[:, :3, :3], atol=1e-12
    )


def test_varied_sensors_are_other_units_in_about_half_of_the_sequences() -> None:
    config = dataclasses.replace(DRIVE, vary_sensor=True)
    scanners = [mounted_scanner(config, f"{number:02d}") for number in range(22, 46)]
    assert scanners[0] == mounted_scanner(config, "22")
    own = mounted_scanner(DRIVE, "22").elevations
    others = [scanner for scanner in scanners if scanner.elevations != own]
    assert 6 <= len(others) <= 18
    assert len({scanner.elevations for scanner in others}) == len({scanner.height for scanner in others}) == len(others)
    for scanner in others:
        assert 40 <= len(scanner.elevations) <= 64
        assert np.all(np.diff(scanner.elevations) < 0)
        assert 1.6 <= scanner.height <= 2.1
    gains = [scanner.rendering.remission.gain for scanner in scanners]
    assert max(gains) > 2 * min(gains)
    assert config.to_json()["vary_sensor"] is True
    with pytest.raises(ConfigError, match="Add --world 2"):
        DriveConfig(vary_sensor=True)


def test_drive_of_some_beams_has_a_resampled_fan_of_the_usual_sensor() -> None:
    scanner, usual = (
        mounted_scanner(DriveConfig(world=2, beams=16, azimuths=180), "00"),
        load_sensor("hdl-64e").rendering,
    )
    assert usual is not None
    assert (len(scanner.elevations), scanner.azimuths) == (16, 180)
    assert np.rad2deg(scanner.elevations[0]) == pytest.approx(1.92)
    assert scanner.rendering.remission == usual.remission


# ---- remission ----------------------------------------------------------------------------------------------------


def surfaces(material: Material, distance: float = 10.0, cosine: float = 0.5) -> Surfaces:
    count, rng = 4000, np.random.default_rng(1)
    return Surfaces(
        np.full(count, material),
        np.ones(count),
        rng.uniform(0, 50, (count, 2)),
        np.full(count, cosine),
        np.full(count, float(distance)),
        np.zeros(count, np.int64),
        np.zeros(count, bool),
    )


def values_of(material: Material, distance: float = 10.0, cosine: float = 0.5, **changes: float) -> np.ndarray:
    response = RemissionResponse(**{"street_spread": 0.0, "incidence": 0.0, "fall": 0.01, "ground_fall": 1.5} | changes)
    scanner = Scanner((0.0,), 16, 100.0, 1.7, SensorRendering(remission=response), (7,))
    return remission(surfaces(material, distance, cosine), scanner, np.random.default_rng(0))


def test_remission_falls_beyond_the_full_range_and_faster_on_asphalt() -> None:
    for material, fall in ((Material.LEAF, 0.01), (Material.SLABS, 0.01), (Material.MARKING, 0.015)):
        near, full, far = (values_of(material, distance, zeros=0.0).mean() for distance in (5, 18, 33))
        assert near == pytest.approx(full, abs=0.005)
        assert full - far == pytest.approx(15 * fall, abs=0.01)


def test_remission_of_mirrors_is_zero_in_patches_unless_hit_steeply() -> None:
    shares = [(values_of(Material.PAINTED, cosine=cosine) == 0).mean() for cosine in (0.4, 0.7, 1.0)]
    assert shares[0] > shares[1] > shares[2] > 0.1
    assert (values_of(Material.PAINTED, zeros=0.0) == 0).mean() < 0.03
    assert (values_of(Material.PLASTER) == 0).mean() < 0.1


def test_remission_has_gain_offset_steps_and_largest_value() -> None:
    usual, other = values_of(Material.BARK), values_of(Material.BARK, gain=0.5, offset=0.1, step=0.05, max=0.3)
    assert other.max() == pytest.approx(0.3)
    assert set(np.unique(other.round(6))) <= set(np.round(np.arange(0, 0.31, 0.05), 6))
    assert np.median(other) == pytest.approx(np.median(usual) / 2 + 0.1, abs=0.03)


def test_panes_return_from_rooms_and_cabins_or_not_at_all() -> None:
    panes = surfaces(Material.GLASS)
    for is_building, deepest in ((True, 4.0), (False, 1.5)):
        seen = entered(dataclasses.replace(panes, is_building=np.full(4000, is_building)), np.random.default_rng(0))
        behind = seen.distance > panes.distance
        assert 0.35 < behind.mean() < 0.45
        assert deepest - 0.1 < (seen.distance - panes.distance).max() < deepest
        assert reflectivity(seen)[behind].min() > 50 * reflectivity(seen)[~behind].max()


# ---- scans --------------------------------------------------------------------------------------------------------


# Statistics of frames 0, 3 and 4 of sequence 00 of SemanticKITTI, those of classes of frame 0, and how far rendered
# scans of another street may be off.
REAL = {
    "points": (124_268, 15_000),
    "elevation of beam 1": (2.61, 0.4),
    "elevation of beam 32": (-7.77, 0.4),
    "elevation of beam 33": (-8.39, 0.4),
    "elevation of beam 64": (-23.74, 0.6),
    "returns of beam 17": (2112, 350),
    "returns of beam 33": (2141, 200),
    "returns of beam 49": (1974, 200),
    "returns of beam 64": (1127, 250),
    "voxels of 0.1 m": (56_987, 11_000),
    "ground z at 0-10 m": (-1.79, 0.15),
    "ground deviation at 0-10 m": (0.18, 0.12),
    "remission 0": (0.086, 0.05),
    "remission, 10% quantile": (0.06, 0.07),
    "remission, 50% quantile": (0.30, 0.06),
    "remission, 90% quantile": (0.47, 0.10),
    "remission at 5-10 m": (0.30, 0.06),
    "remission at 40-50 m": (0.13, 0.12),
    "remission 0 at 50 m and more": (0.767, 0.35),
    "remission of road": (0.25, 0.08),
    "remission of sidewalk": (0.31, 0.08),
    "remission of building": (0.42, 0.12),
    "remission of vegetation": (0.34, 0.08),
    "remission 0 of car": (0.457, 0.25),
    "roughness of road (m)": (0.006, 0.004),
}


@pytest.fixture(scope="module")
def street() -> World:
    """A street of world 1, which stays as it is."""
    with short_streets():
        return open_world(dataclasses.replace(DRIVE, world=1), "00")


def scan_of(street: World, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """(points, label words) of a frame of hdl-64e."""
    scanner, now = mounted_scanner(DRIVE, "00"), frame * timing(DRIVE, "00").interval
    pose = street.ego_pose(now) @ sway(scanner, now)
    pose[2, 3] += scanner.height - street.scanner.height
    rng = np.random.default_rng(frame)
    return scan(street.caster(now), street.paints, pose, scanner, rng, speed=street.speed)


@pytest.fixture(scope="module")
def scans(street) -> list[tuple[np.ndarray, np.ndarray]]:
    return [scan_of(street, frame) for frame in range(4)]


def labelled(points: np.ndarray, words: np.ndarray) -> ComparedScan:
    names = np.array(KITTI.names)[KITTI.to_train(split_label(words)[0])]
    return ComparedScan(np.ascontiguousarray(points[:, :3]), points[:, 3].copy(), None, names)


def test_scan_is_the_same_for_the_same_seed(street, scans) -> None:
    for before, after in zip(scans[2], scan_of(street, 2), strict=True):
        np.testing.assert_array_equal(before, after)


def test_scan_has_shadows_of_the_vehicle_and_nothing_near(scans) -> None:
    points = scans[0][0]
    assert np.linalg.norm(points[:, :3], axis=1).min() > 1.2
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    ring = np.cumsum(np.diff(azimuth, prepend=azimuth[0]) < -np.pi)
    lowest = np.abs(azimuth[ring == ring.max()])
    assert ((lowest < 0.2) | (lowest > 2.9)).sum() < 20  # before and behind the roof
    assert ((lowest > 1.2) & (lowest < 1.9)).sum() > 100


def test_rendered_scans_have_the_statistics_of_real_ones(scans) -> None:
    found = mean_statistics([labelled(*scan) for scan in scans])
    off = {name: found[name].value for name, (real, band) in REAL.items() if abs(found[name].value - real) > band}
    assert not off


def test_stated_statistics_are_those_of_real_frames(real_kitti: Path) -> None:
    folder = real_kitti / "sequences" / "00"
    files = [np.fromfile(folder / f"velodyne/{i:06d}.bin", np.float32).reshape(-1, 4) for i in (0, 3, 4)]
    found = mean_statistics([ComparedScan(p[:, :3].copy(), p[:, 3].copy()) for p in files])
    classes = mean_statistics([labelled(files[0], np.fromfile(folder / "labels/000000.label", np.uint32))])
    for name, (value, _) in REAL.items():
        real = found[name].value if name in found else classes[name].value
        assert real == pytest.approx(value, rel=0.01, abs=0.006)


def test_scan_takes_a_fraction_of_a_second(street) -> None:
    spent = []
    for _ in range(3):
        start = time.process_time()
        scan_of(street, 1)
        spent.append(time.process_time() - start)
    assert min(spent) < 1.0  # processor time
