"""SemanticKITTI's single-scan and multi-scan benchmarks, whose submissions have the same files.

The archive has explicit directory entries for sequences/, sequences/11/ .. sequences/21/ and their predictions/, one
uint32 label per point for each scan of the test split, and optionally description.txt. The server also refuses archives
without all scans, so the known counts are checked.
"""

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from elite.datasets.base import Dataset
from elite.datasets.records import FrameId
from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import ConfigError
from elite.layout import SPLITS
from elite.metrics import SEMANTICKITTI_RULE
from elite.shapes import UInt32
from elite.submission.benchmark import LIDAR_ONLY, Benchmark
from elite.taxonomy import Taxonomy, load_taxonomy

TEST_SCANS = {
    "11": 921,
    "12": 1061,
    "13": 3281,
    "14": 631,
    "15": 1901,
    "16": 1731,
    "17": 491,
    "18": 1801,
    "19": 4981,
    "20": 831,
    "21": 2721,
}


class SemanticKITTISegmentation(Benchmark):
    """Files of a submission to SemanticKITTI."""

    name = "SemanticKITTI"
    rule = SEMANTICKITTI_RULE
    splits = ("test",)
    label_bytes = 4
    folders = ("sequences/", *(f"sequences/{s}/{tail}" for s in SPLITS["test"] for tail in ("", "predictions/")))
    optional = ("description.txt",)

    @cached_property
    def taxonomies(self) -> Sequence[Taxonomy]:
        return load_taxonomy("semantickitti"), load_taxonomy("semantickitti-multiscan")

    def open(self, data: Path, split: str) -> Dataset:
        return SemanticKITTI(data, split, cameras=())

    def missing(self, dataset: Dataset, split: str) -> tuple[str, ...]:
        """Describe the sequences with another number of scans than the test split has."""
        found = dict.fromkeys(SPLITS[split], 0)
        for sequence, _ in dataset.ids:
            found[sequence] += 1
        return tuple(
            f"sequence {sequence} has {found[sequence]} of {count} scans"
            for sequence, count in TEST_SCANS.items()
            if found[sequence] != count
        )

    def member(self, frame_id: FrameId, split: str) -> str:
        return f"sequences/{frame_id.sequence}/predictions/{frame_id.name}.label"

    def encode(self, labels: UInt32[np.ndarray, "n"], source: Path) -> bytes:
        return labels.tobytes()

    def label_fault(self, content: bytes) -> str | None:
        unknown = self.taxonomies[0].unknown_raw_ids(np.frombuffer(content, "<u4") & 0xFFFF)
        return f"expected raw label ids of SemanticKITTI, found {unknown[:5]}" if unknown else None

    def statements(self, split: str, inputs: Sequence[str]) -> Mapping[str, bytes]:
        if tuple(inputs) != LIDAR_ONLY:
            raise ConfigError("inputs: submissions to SemanticKITTI do not state them. Remove the option.")
        return {}

    def statement_faults(self, archive: zipfile.ZipFile, split: str) -> Iterable[str]:
        return ()
