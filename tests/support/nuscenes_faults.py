"""Faults of a submission to nuScenes-lidarseg: changes of its files, and the messages of elite."""

import json
from collections.abc import Callable

import numpy as np

KEYS = ("use_camera", "use_lidar", "use_radar", "use_map", "use_external")
META = dict.fromkeys(KEYS, False)
Files = dict[str, bytes]  # contents by name


def _labels(change: Callable[[np.ndarray], object]) -> Callable[[Files], object]:
    """Change of the labels of the first scan."""

    def edit(files: Files) -> None:
        name = min(name for name in files if name.endswith(".bin"))
        labels = np.frombuffer(files[name], np.uint8).copy()
        changed = change(labels)
        files[name] = (labels if changed is None else np.asarray(changed)).tobytes()

    return edit


def _first(labels: np.ndarray, value: int) -> None:
    labels[7] = value


def planted_faults(split: str) -> dict[str, tuple[Callable[[Files], object], str]]:
    """Faults of a submission of a split, by name."""
    statement = f"{split}/submission.json"

    def meta(value: object) -> Callable[[Files], object]:
        return lambda files: files.update({statement: json.dumps(value).encode()})

    return {
        "a zero": (_labels(lambda labels: _first(labels, 0)), r"class of 1 to 16 for each point, found \[0\]"),
        "a 17": (_labels(lambda labels: _first(labels, 17)), r"found \[17\]"),
        "a label short": (_labels(lambda labels: labels[1:]), "expected 60 labels, found 59"),
        "four bytes a label": (_labels(lambda labels: labels.astype("<u4")), "expected 60 labels, found 240"),
        "scan missing": (lambda f: f.pop(min(n for n in f if n.endswith(".bin"))), "found no such entry"),
        "no statement": (lambda f: f.pop(statement), f"expected '{statement}', found no such entry"),
        "statement in the wrong place": (
            lambda f: f.update({"submission.json": f.pop(statement)}),
            f"expected '{statement}', found no such entry",
        ),
        "a key missing": (
            meta({"meta": {k: v for k, v in META.items() if k != "use_map"}}),
            "the booleans use_camera",
        ),
        "a key more": (meta({"meta": META | {"use_gps": False}}), "the booleans use_camera"),
        "a number": (meta({"meta": META | {"use_map": 0}}), "the booleans use_camera"),
        "a word": (meta({"meta": META | {"use_map": "false"}}), "the booleans use_camera"),
        "no meta": (meta(META), "the booleans use_camera"),
        "a list": (meta({"meta": sorted(KEYS)}), "the booleans use_camera"),
        "damaged statement": (lambda f: f.update({statement: b'{"meta": '}), "the booleans use_camera"),
        "statement with a byte order mark": (
            lambda f: f.update({statement: b"\xef\xbb\xbf" + f[statement]}),
            "the booleans use_camera",
        ),
        "stray file": (lambda f: f.update({"notes.md": b"x"}), "'notes.md', which has no scan"),
        "stray scan": (
            lambda f: f.update({f"lidarseg/{split}/{'0' * 32}_lidarseg.bin": b"\1"}),
            "_lidarseg.bin', which has no scan",
        ),
        "named by the sample": (
            lambda f: f.update({f"lidarseg/{split}/{'1' * 32}_lidarseg.bin": f.pop(min(n for n in f if "bin" in n))}),
            "found no such entry",
        ),
        "the folder instead of its content": (
            lambda f: [f.update({f"mine/{name}": f.pop(name)}) for name in list(f)],
            "but 'mine/.*': zip the content of the folder, not the folder",
        ),
    }
