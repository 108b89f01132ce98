"""The commands in Python: load a student, read a scan, train."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elite.cli.settings import compose
from elite.config import TrainConfig
from elite.datasets.doubts import out_of_range, unnamed_field
from elite.datasets.input_guard import warn
from elite.datasets.scan_files import read_scan, scan_of_fields
from elite.errors import require_extra
from elite.inference import Segmenter
from elite.paths import expanded, require_existing
from elite.point_files import fields_of
from elite.sensor import SensorSpec, load_sensor
from elite.terminal import logged
from elite.types import Scan

if TYPE_CHECKING:
    from elite.training import TrainingResult
    from elite.training.progress import OnStep

logger = logging.getLogger("elite")


def load(path: str | Path, device: str = "auto", **options: Any) -> Segmenter:
    """Load a student by its path, or a packaged one by its name; arguments and errors as ``Segmenter.load``."""
    return Segmenter.load(path, device, **options)


def read(points: Any, sensor: SensorSpec | str | Path | None = None) -> Scan:
    """Read the measured points of a scan, in our axes and with remission in 0..1.

    Args:
        points: file (.bin, .npy, .npz, .pcd, .ply, .las, .laz); or an array: a structured one, whose fields have names,
            or (n, columns) numbers, or (rows, columns of the image, columns) of an organised cloud. NaN is allowed.
        sensor: LiDAR of the points: name or YAML file of a sensor, or ``model.sensor``; it defines columns, axes and
            largest intensity. None = x, y, z (metres; forward, left, up), remission (0..1).

    Returns:
        Points that are measured ones: those at the origin, those with NaN, and those on the vehicle are absent, unless
        files of the sensor contain missing returns that need a label.

    Warns:
        DoubtfulInput: remission outside 0..1, such as intensities whose largest value the sensor does not state; or
            several intensity fields, of which the sensor names none.

    Raises:
        DataError: a missing or damaged file, or an array of another shape.
        ConfigError: an unknown sensor.
    """
    spec = sensor if isinstance(sensor, SensorSpec) else SensorSpec("array") if sensor is None else load_sensor(sensor)
    if not spec.missing_returns:
        spec = replace(spec, no_return="drop")
    if isinstance(points, str | Path):
        path = expanded(points)
        require_existing(path, "a scan")
        return _reported(read_scan(path, spec), path)
    scan = scan_of_fields(fields_of(points, spec.field_names), spec, "the scan")
    return _reported(scan, "the scan")


def _reported(scan: Scan, source: object) -> Scan:
    """Warn of an unnamed field, or remission outside 0..1. Other doubts depend on a student, which reports them."""
    if (message := unnamed_field(scan) or out_of_range(scan.remission)) is not None:
        warn(f"{source}: {message}")
    return scan


def train(
    data: str | Path,
    out: str | Path,
    *config: str | Path,
    settings: Mapping[str, Any] | None = None,
    on_step: "OnStep | None" = None,
) -> "TrainingResult":
    """Train a student, as ``elite train DATA -o OUT --config CONFIG`` does. Messages go to the logger ``elite``.

    ::

        elite.train("fleet/dataset.yaml", "runs/fleet", "semantickitti-student", settings={"steps": 2000})

    Args:
        data: data set.
        out: folder of the run.
        *config: packaged configurations and YAML files, in order.
        settings: further settings by name, such as ``{"data.batch_size": 2}``.
        on_step: called after each step; see ``elite.training.train``.

    Raises:
        EliteError: as ``elite.training.train``, and ConfigError for an unknown setting.
    """
    require_extra("lightning", "train")
    from elite.training import train as run

    given = [*(settings or {}).items(), ("data.root", str(data)), ("out", str(out))]
    with logged(logger):
        return run(compose(TrainConfig, map(str, config), given), progress=False, on_step=on_step)
