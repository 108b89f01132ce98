"""The Benchmark protocol: what a server expects of a submission."""

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from elite.datasets.base import Dataset
from elite.datasets.records import FrameId
from elite.metrics import ScoreRule
from elite.shapes import UInt32
from elite.taxonomy import Taxonomy

LIDAR_ONLY = ("lidar",)  # inputs of the student


class Benchmark(Protocol):
    """Names and contents of the files in a submission. Folders end with a slash.

    Attributes:
        name: for messages.
        rule: by which the server scores it.
        splits: splits with predictions, the server's first.
        label_bytes: size of a label in the files.
        folders: folders that must be entries of the zip file.
        optional: names of files that may be in it.
    """

    name: str
    rule: ScoreRule
    splits: Sequence[str]
    label_bytes: int
    folders: Sequence[str]
    optional: Sequence[str]

    @property
    def taxonomies(self) -> Sequence[Taxonomy]:
        """Classes of the predictions; several if the server has a competition for each. They share their raw ids."""
        ...

    def open(self, data: Path, split: str) -> Dataset:
        """Open the scans of a split. Raises DataError without any."""
        ...

    def missing(self, dataset: Dataset, split: str) -> tuple[str, ...]:
        """Describe the scans of the split that the data set lacks."""
        ...

    def member(self, frame_id: FrameId, split: str) -> str:
        """Return the name of the predictions of a scan."""
        ...

    def encode(self, labels: UInt32[np.ndarray, "n"], source: Path) -> bytes:
        """Convert the words of a prediction file (raw ids) to the contents of the member.

        Raises:
            DataError: an id that the taxonomy does not define; the message names the ``source``.
        """
        ...

    def label_fault(self, content: bytes) -> str | None:
        """Describe labels that the server refuses."""
        ...

    def statements(self, split: str, inputs: Sequence[str]) -> Mapping[str, bytes]:
        """Return the files that describe the submission.

        Args:
            split: the split.
            inputs: what the network uses of a frame, such as ``LIDAR_ONLY``.

        Raises:
            ConfigError: inputs that the benchmark does not know.
        """
        ...

    def statement_faults(self, archive: zipfile.ZipFile, split: str) -> Iterable[str]:
        """Describe faults of these files."""
        ...
