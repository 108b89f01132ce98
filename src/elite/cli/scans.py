"""Scans and the student that labels them."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from elite.errors import ConfigError, DataError
from elite.terminal import notice

if TYPE_CHECKING:
    from elite.datasets import Dataset
    from elite.inference import Segmenter
    from elite.prediction_files import PredictionJob


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


def find_scans(
    inputs: list[Path], sequences: str | None, frames: str | None, out: Path = Path()
) -> list["PredictionJob"]:
    """Find scans, each with the file of its labels below the folder ``out``.

    Labels of a data set are sequences/SS/predictions/NAME.label. Those of loose scans are NAME.label.

    Args:
        inputs: one data set, or folders of .bin files and .bin files.
        sequences: selection within a data set.
        frames: selection within its sequences.

    Raises:
        ConfigError: a selection among loose scans.
        DataError: no scan found.
    """
    from elite.datasets import is_dataset, open_dataset
    from elite.prediction_files import PredictionJob, dataset_jobs

    if len(inputs) == 1 and is_dataset(inputs[0]):
        dataset = open_dataset(inputs[0], sequences=sequences, frames=frames, cameras=())
        report_unused(dataset)
        return dataset_jobs(dataset, out)
    if sequences or frames:
        raise ConfigError(
            "--sequences, --frames: expected a selection within a data set, found loose scans. List the scans instead."
        )
    files = [f for path in inputs for f in (_loose_scans(path) if path.is_dir() else [path])]
    if not files:
        raise DataError(f"{inputs[0]}: expected .bin files or a data set, found neither. Check the path.")
    return [PredictionJob(f, out / f"{f.stem}.label") for f in files]


def _loose_scans(folder: Path) -> list[Path]:
    """Find the .bin files of a folder. Report its other files, except labels and confidences."""
    files = [path for path in folder.iterdir() if not path.name.startswith(".")]
    scans = sorted(path for path in files if path.suffix == ".bin")
    others = sorted(path.name for path in files if path.suffix not in (".bin", ".label", ".confidence"))
    if scans and others:
        notice(f"{folder}: {len(others)} files are not read ({others[0]}, ...); scans are .bin files.")
    return scans


def report_unused(dataset: "Dataset") -> None:
    """Report files of a data set that are not used, one line per group."""
    for line in dataset.unused:
        notice(line)
