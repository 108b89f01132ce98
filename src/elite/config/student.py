"""Settings of the student."""

from dataclasses import dataclass

from elite.config._checks import require, require_at_least, require_positive, rises

_MAX_CHANNELS = 2**16
_MAX_CLASSES = 2**8  # labels have eight bits
MAX_CELLS = 2**24  # along an axis: the largest whole number that float32 separates from its neighbours
MAX_DISTANCE_M = 1e6


@dataclass(frozen=True)
class StudentConfig:
    """Sparse-voxel student.

    Attributes:
        channels: channels of each stage.
        strides: voxel strides of the grids. Stage i leads from strides[i] to strides[i + 1].
        volume: low and high corner of the segmented box in the sensor frame, in metres.
        cells: number of cells of the stride-1 grid along x, y and z.
        classes: number of classes, including the ignored class 0.
        past_scans: number of past scans whose points are further input, with their age; that of ``data.past_scans``.
        remission_gain: factor on the remission (0 to 1) of the input. Beside coordinates of tens of metres, remission
            has little weight in the first hundreds of steps; with a gain such as 20 it is learned from the start.
            Student files contain its product with the weights: the network stays the same.
    """

    channels: int = 64
    strides: tuple[int, ...] = (1, 2, 4, 8, 16)
    volume: tuple[tuple[float, float, float], tuple[float, float, float]] = ((-50.0, -50.0, -4.0), (50.0, 50.0, 2.0))
    cells: tuple[int, int, int] = (1000, 1000, 60)
    classes: int = 20
    past_scans: int = 0
    remission_gain: float = 1.0

    def __post_init__(self) -> None:
        is_even = 2 <= self.channels <= _MAX_CHANNELS and self.channels % 2 == 0
        require(is_even, "student.channels", f"an even number from 2 to {_MAX_CHANNELS}", self.channels)
        starts_at_1 = len(self.strides) >= 2 and min(self.strides) == self.strides[0] == 1
        is_valid = starts_at_1 and rises(self.strides) and max(self.strides) <= MAX_CELLS
        require(is_valid, "student.strides", f"increasing numbers from 1 to at most {MAX_CELLS}", self.strides)
        is_valid = 2 <= self.classes <= _MAX_CLASSES
        require(is_valid, "student.classes", f"2 to {_MAX_CLASSES}, including the ignored class 0", self.classes)
        is_valid = 1 <= min(self.cells) <= max(self.cells) <= MAX_CELLS
        require(is_valid, "student.cells", f"1 to {MAX_CELLS} along each axis", self.cells)
        require_at_least(0, self, "student.", "past_scans")
        require_positive(self, "student.", "remission_gain")
        self._check_volume()

    def _check_volume(self) -> None:
        low, high = self.volume
        is_box = all(a < b for a, b in zip(low, high, strict=True))
        require(is_box, "student.volume", "a low corner and a high corner", self.volume)
        is_near = max(map(abs, (*low, *high))) <= MAX_DISTANCE_M
        require(is_near, "student.volume", f"coordinates within {MAX_DISTANCE_M:.0f} m", self.volume)

    @property
    def cell_size(self) -> tuple[float, float, float]:
        """Edges of a stride-1 cell along x, y and z, in metres."""
        x, y, z = ((b - a) / n for a, b, n in zip(*self.volume, self.cells, strict=True))
        return x, y, z
