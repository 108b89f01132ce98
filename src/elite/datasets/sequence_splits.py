"""Splits of a data set in SemanticKITTI's layout, which a short ``dataset.yaml`` may state."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from elite.config import from_plain
from elite.descriptions import read_yaml_file
from elite.errors import ConfigError
from elite.files import TEXT_BYTES, parse_yaml, read_file
from elite.layout import DESCRIPTION, SPLITS

KITTI_LAYOUT = "semantickitti"


@dataclass(frozen=True)
class SequenceSplits:
    """A ``dataset.yaml`` with the splits of files in SemanticKITTI's layout. Everything else is as in SemanticKITTI.

    Attributes:
        layout: ``semantickitti``.
        name: of the data set, for readers of the file.
        train, val, test: names of the sequences of each split; by default those of the benchmark.

    Raises:
        ConfigError: a sequence is part of two splits.
    """

    layout: Literal["semantickitti"]
    name: str = ""
    train: tuple[str, ...] = SPLITS["train"]
    val: tuple[str, ...] = SPLITS["valid"]
    test: tuple[str, ...] = SPLITS["test"]

    def __post_init__(self) -> None:
        names = [*self.train, *self.val, *self.test]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"expected each sequence in one split, found {', '.join(twice)} twice. Remove it once.")

    def to_plain(self) -> dict[str, str | list[str]]:
        """Values of the file."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def states_kitti_splits(path: Path) -> bool:
    """Return whether a ``dataset.yaml`` only states the splits of files in SemanticKITTI's layout."""
    try:
        values = parse_yaml(read_file(path, TEXT_BYTES), str(path))
    except (OSError, ConfigError):
        return False
    return isinstance(values, dict) and values.get("layout") == KITTI_LAYOUT


def kitti_splits(root: Path) -> Mapping[str, tuple[str, ...]]:
    """Return the sequences of each split of a data set in SemanticKITTI's layout.

    Raises:
        ConfigError: its ``dataset.yaml`` has an unknown key or an impossible value; the message has the line.
    """
    path = root / DESCRIPTION
    if not states_kitti_splits(path):
        return SPLITS
    file = read_yaml_file(path, "description of splits")
    with file.located():
        splits = from_plain(SequenceSplits, file.values)
    return {"train": splits.train, "valid": splits.val, "test": splits.test}
