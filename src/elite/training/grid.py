"""Volume and cells of the student of a run, from settings in metres."""

from dataclasses import replace

from elite.config import GridConfig, StudentConfig, TrainConfig
from elite.datasets import open_dataset
from elite.datasets.described import described_grid, is_described
from elite.processes import is_first
from elite.terminal import say


def with_grid(config: TrainConfig) -> TrainConfig:
    """Replace the lengths of ``config.grid`` by the volume and the cells of the student, which files contain.

    A volume other than the published one is reported with its cell size.

    Raises:
        ConfigError: as ``GridConfig.applied_to``.
        DataError: the data set, which has the height of the sensor, cannot be opened.
    """
    grid = _grid(config)
    student = grid.applied_to(config.student, _sensor_height(config) if grid.heights == "ground" else None)
    if is_first() and (student.volume != StudentConfig.volume or grid.cell is not None):
        say(_describe(student))
    return replace(config, student=student, grid=GridConfig())


def _grid(config: TrainConfig) -> GridConfig:
    """Lengths of the settings, or those of the description of the data set if the settings have none."""
    is_given = config.grid != GridConfig() or config.student.volume != StudentConfig.volume
    root = config.data.root
    return config.grid if is_given or root is None or not is_described(root) else described_grid(root)


def _sensor_height(config: TrainConfig) -> float | None:
    """Height of the data set's sensor above the ground, in metres; None = unknown."""
    data = config.data
    if data.root is None:
        return None
    selection = {"sequences": data.sequences, "frames": data.frames, "cameras": ()}
    return open_dataset(data.root, data.format, taxonomy=data.taxonomy, sensor=data.sensor, **selection).sensor.height


def _describe(student: StudentConfig) -> str:
    """Describe the grid: 'student: x -50 to 50 m, ...: 1000 x 1000 x 60 cells of 0.1 x 0.1 x 0.1 m'."""
    sides = (f"{axis} {low:g} to {high:g} m" for axis, low, high in zip("xyz", *student.volume, strict=True))
    cells, sizes = " x ".join(map(str, student.cells)), " x ".join(f"{size:.4g}" for size in student.cell_size)
    return f"student: {', '.join(sides)}: {cells} cells of {sizes} m"
