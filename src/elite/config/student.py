"""Settings of the student."""

from dataclasses import dataclass

from elite.config._records import require, rises

_WIDEST = 2**16  # channels
_MOST_CLASSES = 2**8  # labels have eight bits
_MOST_CELLS = 2**24  # along an axis: float32 tells no more whole numbers apart
_FARTHEST = 1e6  # metres


@dataclass(frozen=True)
class StudentConfig:
    """The sparse-voxel student.

    Attributes:
        channels: width of every stage.
        strides: voxel strides of the grids; stage i goes from strides[i] to strides[i + 1].
        volume: low and high corner (m) of the box that is segmented.
        cells: cells of the stride-1 grid along x, y, z.
        classes: number of classes with the ignored class 0.
    """

    channels: int = 64
    strides: tuple[int, ...] = (1, 2, 4, 8, 16)
    volume: tuple[tuple[float, float, float], tuple[float, float, float]] = ((-50.0, -50.0, -4.0), (50.0, 50.0, 2.0))
    cells: tuple[int, int, int] = (1000, 1000, 60)
    classes: int = 20

    def __post_init__(self) -> None:
        require(
            2 <= self.channels <= _WIDEST and self.channels % 2 == 0,
            f"student.channels must be even, from 2 to {_WIDEST}, found {self.channels}.",
        )
        require(
            len(self.strides) >= 2 and min(self.strides) == self.strides[0] == 1 and rises(self.strides),
            f"student.strides must start at 1 and rise, at least one step; found {self.strides}.",
        )
        require(
            2 <= self.classes <= _MOST_CLASSES,
            f"student.classes counts the ignored class 0 too, so from 2 to {_MOST_CLASSES}; found {self.classes}.",
        )
        low, high = self.volume
        require(
            all(a < b for a, b in zip(low, high, strict=True)),
            f"student.volume must go from its low to its high corner, found {self.volume}.",
        )
        require(
            max(map(abs, (*low, *high))) <= _FARTHEST,
            f"student.volume is in metres, at most {_FARTHEST:.0f} from the sensor, found {self.volume}.",
        )
        require(
            1 <= min(self.cells) <= max(self.cells) <= _MOST_CELLS,
            f"student.cells must be from 1 to {_MOST_CELLS} along each axis, found {self.cells}.",
        )
        require(
            max(self.strides) <= _MOST_CELLS,
            f"student.strides must not exceed {_MOST_CELLS}, found {max(self.strides)}.",
        )
