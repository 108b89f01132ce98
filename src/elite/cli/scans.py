"""Scans and the student that labels them."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from elite.errors import ConfigError, DataError
from elite.layout import Layout, is_root
from elite.terminal import notice

if TYPE_CHECKING:
    from elite.datasets import SemanticKITTI
    from elite.inference import Segmenter


def load_segmenter(model: Path, args: Namespace) -> "Segmenter":
    """Load a student, with the options of ``add_compute``."""
    from elite.inference import Segmenter

    return Segmenter.load(
        model,
        args.device,
        backend=args.backend,
        precision=args.precision,
        votes=args.votes,
        vote_by=args.vote_by,
        seed=args.seed,
        report=notice,
        strict=args.strict,
    )


def find_scans(inputs: list[Path], sequences: str | None, frames: str | None) -> list[tuple[Path, Path]]:
    """Find scans, each with the path of its labels below an output folder.

    Labels of a data set keep its layout. Those of loose scans are NAME.label.

    Args:
        inputs: one data set, or folders of .bin files and .bin files.
        sequences: selection within a data set.
        frames: selection within its sequences.

    Raises:
        ConfigError: a selection among loose scans.
        DataError: no scan found.
    """
    from elite.datasets import SemanticKITTI

    if len(inputs) == 1 and is_root(inputs[0]):
        dataset, below = SemanticKITTI(inputs[0], sequences, frames=frames, cameras=()), Layout(Path())
        report_unused(dataset)
        return [(dataset.scan_path(i), below.prediction(*frame_id)) for i, frame_id in enumerate(dataset.ids)]
    if sequences or frames:
        raise ConfigError(
            "--sequences, --frames: expected a selection within a data set, found loose scans. List the scans instead."
        )
    files = [f for path in inputs for f in (_loose_scans(path) if path.is_dir() else [path])]
    if not files:
        raise DataError(f"{inputs[0]}: expected .bin files or a folder 'sequences', found neither. Check the path.")
    return [(f, Path(f"{f.stem}.label")) for f in files]


def _loose_scans(folder: Path) -> list[Path]:
    """Find the .bin files of a folder. Report its other files, except labels and confidences."""
    files = [path for path in folder.iterdir() if not path.name.startswith(".")]
    scans = sorted(path for path in files if path.suffix == ".bin")
    others = sorted(path.name for path in files if path.suffix not in (".bin", ".label", ".confidence"))
    if scans and others:
        notice(f"{folder}: {len(others)} files are not read ({others[0]}, ...); scans are .bin files.")
    return scans


def report_unused(dataset: "SemanticKITTI") -> None:
    """Report files of a data set that are not used, one line per group."""
    for line in dataset.unused:
        notice(line)
