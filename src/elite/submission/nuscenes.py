"""The nuScenes-lidarseg challenge.

The archive has lidarseg/SPLIT/TOKEN_lidarseg.bin for each keyframe of the split, where TOKEN is the sample_data token
of its scan: one uint8 per point, in the order of the file, 1 to 16. SPLIT/submission.json states the method's inputs.
The devkit ignores other files; here they are a fault, since they belong to another split or have a wrong name.
"""

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from elite.datasets.base import Dataset
from elite.datasets.nuscenes import NuScenes
from elite.datasets.nuscenes.splits import splits
from elite.datasets.records import FrameId
from elite.errors import ConfigError
from elite.files import parse_json
from elite.metrics import NUSCENES_RULE
from elite.shapes import UInt32
from elite.submission.benchmark import Benchmark
from elite.taxonomy import Taxonomy, load_taxonomy

INPUTS = ("camera", "lidar", "radar", "map", "external")
_STATEMENT_BYTES = 2**16


class NuScenesLidarseg(Benchmark):
    """Files of a submission to the nuScenes-lidarseg challenge."""

    name = "nuScenes-lidarseg"
    rule = NUSCENES_RULE
    splits = ("test", "val", "train", "mini_val", "mini_train")
    label_bytes = 1
    folders = ()
    optional = ()

    @cached_property
    def taxonomies(self) -> Sequence[Taxonomy]:
        return (load_taxonomy("nuscenes-lidarseg"),)

    def open(self, data: Path, split: str) -> Dataset:
        return NuScenes(data, split, cameras=())

    def missing(self, dataset: Dataset, split: str) -> tuple[str, ...]:
        """Describe scenes that are not in the tables, and keyframes without a scan."""
        count, whole = len(dataset), splits()[split]
        present = {frame_id.sequence for frame_id in dataset.ids}
        absent = [scene for scene in whole.scenes if scene not in present]
        lines = [f"{len(absent)} of {len(whole.scenes)} scenes have no scan ({absent[0]})"] if absent else []
        return (*lines, *([f"{split} has {count} of {whole.keyframes} keyframes"] if count != whole.keyframes else []))

    def member(self, frame_id: FrameId, split: str) -> str:
        return f"lidarseg/{split}/{frame_id.name}_lidarseg.bin"

    def encode(self, labels: UInt32[np.ndarray, "n"], source: Path) -> bytes:
        return self.taxonomies[0].to_train(labels & 0xFFFF, source=source).tobytes()

    def label_fault(self, content: bytes) -> str | None:
        labels, most = np.frombuffer(content, np.uint8), len(self.taxonomies[0]) - 1
        wrong = np.unique(labels[(labels < 1) | (labels > most)])
        return f"expected a class of 1 to {most} for each point, found {wrong[:5].tolist()}" if len(wrong) else None

    def statements(self, split: str, inputs: Sequence[str]) -> Mapping[str, bytes]:
        if unknown := [name for name in inputs if name not in INPUTS]:
            raise ConfigError(f"inputs: expected some of {', '.join(INPUTS)}, found {', '.join(unknown)}.")
        meta = {f"use_{name}": name in inputs for name in INPUTS}
        return {_statement(split): json.dumps({"meta": meta}, indent=2).encode()}

    def statement_faults(self, archive: zipfile.ZipFile, split: str) -> Iterable[str]:
        name, keys = _statement(split), [f"use_{name}" for name in INPUTS]
        if name not in archive.namelist():
            return
        with archive.open(name) as member:
            content = member.read(_STATEMENT_BYTES)
        try:
            meta = parse_json(content.decode())["meta"]  # without a byte order mark, as the devkit
            correct = sorted(meta) == sorted(keys) and all(type(meta[key]) is bool for key in keys)
        except (ValueError, KeyError, TypeError):
            correct = False
        if not correct:
            yield f"'{name}': expected 'meta' with the booleans {', '.join(keys)} only, found other contents"


def _statement(split: str) -> str:
    return f"{split}/submission.json"
