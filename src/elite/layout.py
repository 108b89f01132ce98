"""Paths of the files of a data set in SemanticKITTI's layout, and selections of its frames.

::

    ROOT/sequences/SS/velodyne/NNNNNN.bin          float32 (N, 4): x y z remission
                      labels/NNNNNN.label          uint32 (N,): semantic | instance << 16
                      image_2/NNNNNN.png           one folder per camera
                      image_2_labels/{semantic,instance}/NNNNNN.png   dense image labels
                      image_2_pseudo/{semantic,instance}/NNNNNN.png   the same, generated; NNNNNN.json: provenance
                      calib.txt  poses.txt  times.txt
    OUT/sequences/SS/predictions/NNNNNN.label
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from elite.errors import ConfigError, DataError, first_line
from elite.paths import expanded

SPLITS: dict[str, tuple[str, ...]] = {
    "train": ("00", "01", "02", "03", "04", "05", "06", "07", "09", "10"),
    "valid": ("08",),
    "test": tuple(f"{i:02d}" for i in range(11, 22)),
}
DESCRIPTION = "dataset.yaml"  # describes files of any layout, or states the splits of this one
_NUMBERS = re.compile(r"[0-9]+(-[0-9]*)?|-.*")  # a range, valid or not
_DIGITS = 6  # of a frame's number, as in the names of its files
CAMERAS = {"image_0": "P0", "image_1": "P1", "image_2": "P2", "image_3": "P3"}


class DenseFiles(NamedTuple):
    """Files of the dense labels of one image in a folder such as image_2_labels."""

    folder: Path
    name: str

    @property
    def semantic(self) -> Path:
        return self.folder / "semantic" / f"{self.name}.png"

    @property
    def instance(self) -> Path:
        return self.folder / "instance" / f"{self.name}.png"

    @property
    def picture(self) -> Path:
        """Picture of how they were generated."""
        return self.folder / "pictures" / f"{self.name}.png"

    @property
    def record(self) -> Path:
        """Record of their provenance, if they were generated."""
        return self.folder / f"{self.name}.json"


@dataclass(frozen=True)
class Layout:
    """Paths below one root. Sequences and frames are given by name, folders such as image_2_labels too."""

    root: Path

    @property
    def sequences(self) -> Path:
        return self.root / "sequences"

    @property
    def sensor(self) -> Path:
        """Description of the LiDAR, if there is one."""
        return self.root / "sensor.yaml"

    def sequence(self, sequence: str) -> Path:
        return self.sequences / sequence

    def scans(self, sequence: str) -> Path:
        return self.sequence(sequence) / "velodyne"

    def scan(self, sequence: str, name: str) -> Path:
        return self.scans(sequence) / f"{name}.bin"

    def labels(self, sequence: str, name: str, folder: str = "labels") -> Path:
        return self.sequence(sequence) / folder / f"{name}.label"

    def image(self, sequence: str, name: str, camera: str) -> Path:
        return self.sequence(sequence) / camera / f"{name}.png"

    def cameras_with_images(self, sequences: Collection[str]) -> tuple[str, ...]:
        """Cameras that have a folder of images in one of the sequences."""
        return tuple(c for c in CAMERAS if any((self.sequence(s) / c).is_dir() for s in sequences))

    def dense_files(self, sequence: str, name: str, folder: str) -> DenseFiles:
        """All files of the dense labels of one image."""
        return DenseFiles(self.sequence(sequence) / folder, name)

    def calibration(self, sequence: str) -> Path:
        return self.sequence(sequence) / "calib.txt"

    def poses(self, sequence: str) -> Path:
        return self.sequence(sequence) / "poses.txt"

    def times(self, sequence: str) -> Path:
        return self.sequence(sequence) / "times.txt"

    def prediction(self, sequence: str, name: str) -> Path:
        return self.sequence(sequence) / "predictions" / f"{name}.label"

    def confidence(self, sequence: str, name: str) -> Path:
        """Confidences of a prediction."""
        return self.prediction(sequence, name).with_suffix(".confidence")

    def found_sequences(self) -> tuple[str, ...]:
        """Names of the sequences that have scans, sorted.

        Raises:
            DataError: the folder cannot be read.
        """
        return self.sequences_with("velodyne")

    def sequences_with(self, folder: str) -> tuple[str, ...]:
        """Names of the sequences that have this folder ("" = any), sorted.

        Raises:
            DataError: the sequences cannot be read.
        """
        try:
            return tuple(sorted(p.name for p in self.sequences.iterdir() if (p / folder).is_dir()))
        except OSError as error:
            raise DataError(
                f"{self.sequences}: expected a readable folder, found {error.strerror}. Check its permissions and "
                "those of the folders in it."
            ) from error


def open_layout(root: str | Path) -> Layout:
    """Open the layout at ``root``.

    ``root`` may also be its ``sequences`` folder, its ``dataset.yaml``, or the parent of a ``dataset`` folder.

    Raises:
        DataError: no ``sequences`` folder there.
    """
    root = expanded(root)
    try:
        if root.resolve().name == "sequences" and root.is_dir():
            return Layout(root.resolve().parent)
        for candidate in (root.parent if root.name == DESCRIPTION else root, root / "dataset"):
            if (candidate / "sequences").is_dir():
                return Layout(candidate)
    except (OSError, RuntimeError) as error:  # the second: a loop of symbolic links
        raise DataError(
            f"{root}: expected a readable data set, found {first_line(error)}. Check the path and its permissions."
        ) from error
    raise DataError(
        f"{root}: expected a folder 'sequences' (sequences/00/velodyne/000000.bin, ...), found none. Give the folder "
        "that contains it."
    )


def is_root(path: Path) -> bool:
    """Return whether ``open_layout`` accepts a path."""
    try:
        open_layout(path)
    except DataError:
        return False
    return True


def parse_sequences(
    text: str, found: Collection[str] = (), splits: Mapping[str, Sequence[str]] = SPLITS
) -> tuple[str, ...]:
    """Parse a selection of sequences, separated by commas.

    Each part is one of the ``splits`` (``train``, ``valid``, ``test``), a number or range (``00,08`` or ``0-7,9``), or
    one of the ``found`` names.

    Raises:
        ConfigError: a part is none of these.
    """
    if text in found and text not in splits:
        return (text,)  # also with commas or spaces in it
    names: list[str] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        if part in splits:
            names += splits[part]
        elif part in found:
            names.append(part)
        elif _NUMBERS.fullmatch(part):
            names += (f"{i:02d}" for i in _parse_range(part, text))
        else:
            raise ConfigError(
                f"sequences '{text}': expected train, valid, test, numbers such as 00,08 or 0-7, or folder names, "
                f"found '{part}'. Select some of {', '.join(sorted(found)) or '(no sequences)'}."
            )
    if not names:
        raise ConfigError(
            f"sequences '{text}': expected at least one, found none. Give train, valid, test, numbers such as 00,08 "
            "or names."
        )
    return tuple(dict.fromkeys(names))


def select_sequences(
    text: str | None,
    found: tuple[str, ...],
    root: Path,
    what: str = "sequence",
    splits: Mapping[str, Sequence[str]] = SPLITS,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split a selection (None = all) into sequences that were ``found`` below ``root``, and absent ones.

    Raises:
        DataError: a sequence that is selected by name or number does not exist; sequences of a split may be absent.
        ConfigError: an invalid selection.
    """
    if text is None:
        return found, ()
    wanted = parse_sequences(text, found, splits)
    absent = tuple(s for s in wanted if s not in found)
    of_splits = {s for part in text.split(",") for s in splits.get(part.strip(), ())}
    missing = [s for s in absent if s not in of_splits]
    if missing:
        raise DataError(
            f"{root}: expected {what} {', '.join(missing)}, found {', '.join(found) or 'none'}. Change the selection."
        )
    return tuple(s for s in wanted if s in found), absent


def parse_frames(text: str | None) -> frozenset[int] | None:
    """Parse a selection of frames: ``0-2,7`` -> {0, 1, 2, 7}; None or ``all`` -> None (all frames)."""
    if text is None or text == "all":
        return None
    return frozenset(i for part in text.split(",") for i in _parse_range(part.strip(), text))


def label_folder(camera: str) -> str:
    """Folder of the dense ground truth of a camera's images."""
    return f"{camera}_labels"


def parse_names(text: str) -> tuple[str, ...]:
    """Parse names that are separated by commas; ``none`` -> no names."""
    return tuple(name for part in text.split(",") if (name := part.strip()) not in ("", "none"))


def _parse_range(part: str, selection: str) -> range:
    first, dash, last = part.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise ConfigError(
            f"selection '{selection}': expected numbers and ranges such as 0-2,7, found '{part}'. Change the selection."
        )
    if max(len(first), len(last)) > _DIGITS:
        raise ConfigError(
            f"selection '{selection}': expected numbers of at most {_DIGITS} digits, found '{part}'. Change the "
            "selection."
        )
    numbers = range(int(first), int(last or first) + 1)
    if not numbers:
        raise ConfigError(f"selection '{selection}': expected ascending ranges, found '{part}'. Swap its ends.")
    return numbers
