"""Scans and the student that labels them."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elite.cli.arguments import open_data
from elite.errors import ConfigError, DataError
from elite.terminal import notice

if TYPE_CHECKING:
    from elite.datasets import Dataset
    from elite.inference import Segmenter
    from elite.prediction_files import PredictionJob

OF_DATA_SETS = ("sequences", "frames", "format", "taxonomy")
_DEPTHS = ("*", "*/*", "*/*/*")  # to sequences/00/velodyne


def load_segmenter(model: Path, args: Namespace, **options: Any) -> "Segmenter":
    """Load a student, with the options of ``add_compute``, and other ``options`` of a ``Segmenter``."""
    from elite.inference import Segmenter

    return Segmenter.load(
        model,
        args.device,
        backend=args.backend,
        precision=args.precision,
        votes=args.votes,
        vote_by=args.vote_by,
        seed=args.seed,
        intensity=args.intensity,
        height=args.height,
        report=notice,
        strict=args.strict,
        **options,
    )


def find_scans(args: Namespace, segmenter: "Segmenter", out: Path = Path()) -> list["PredictionJob"]:
    """Find the scans of DATA as a student requires them, each with the file of its labels below the folder ``out``.

    Labels of a data set are sequences/SS/predictions/NAME.label. Those of loose scans are NAME.label.

    Args:
        args: options of ``add_scans``, ``add_selection`` and ``add_format``.
        segmenter: the student; the LiDAR of its training scans is that of loose scans, unless --sensor is given.
        out: folder of the labels.

    Raises:
        ConfigError: options of a data set for loose scans, or loose scans for a student with past scans.
        DataError: no scan found.
    """
    from elite.datasets import is_dataset
    from elite.point_files import SUFFIXES
    from elite.prediction_files import dataset_jobs, file_job
    from elite.sensor import load_sensor

    first, *others = args.data
    if not others and (args.format or is_dataset(first)):
        dataset = open_data(first, args, sequences=args.sequences, frames=args.frames, cameras=())
        report_unused(dataset)
        return dataset_jobs(dataset.with_past_scans(segmenter.past_scans), out)
    if given := [f"--{name}" for name in OF_DATA_SETS if getattr(args, name)]:
        raise ConfigError(f"{', '.join(given)}: expected one data set, found loose scans. List the scans instead.")
    files = [f for path in args.data for f in (loose_scans(path) if path.is_dir() else [path])]
    if not files:
        raise DataError(
            f"{first}: expected scans ({', '.join(SUFFIXES)}) or a data set, found neither. Check the path, or "
            "give --format."
        )
    require_no_past(segmenter, "loose scans")
    sensor = segmenter.sensor if args.sensor is None else load_sensor(args.sensor)
    return [file_job(file, out, sensor) for file in files]


def require_no_past(segmenter: "Segmenter", found: str) -> None:
    """Raises ConfigError for a student with past scans, since what was ``found`` has no poses."""
    if segmenter.past_scans:
        raise ConfigError(
            f"MODEL: expected a data set with poses and times, since the student takes {segmenter.past_scans} past "
            f"scan{'s' * (segmenter.past_scans > 1)}, found {found}. Describe the scans in a dataset.yaml with 'poses' "
            "and 'scans: {times: ...}' and give that to elite predict, or use elite.ScanHistory in Python."
        )


def loose_scans(folder: Path) -> list[Path]:
    """Find the scan files of a folder. Report its other files, except labels and confidences.

    Raises:
        DataError: the folder has scan files of two formats, of which one may contain labels.
    """
    from elite.label_records import FOLDER_RECORD
    from elite.point_files import SUFFIXES

    files = [path for path in folder.iterdir() if not path.name.startswith(".") and path.name != FOLDER_RECORD]
    scans = sorted(path for path in files if path.suffix.lower() in SUFFIXES)
    if len(formats := sorted({path.suffix.lower() for path in scans})) > 1:
        raise DataError(
            f"{folder}: expected scans of one format, found {' and '.join(formats)}. Put each format into a "
            f"folder of its own, or give 'elite predict' the files, such as {folder}/*{formats[0]}."
        )
    others = sorted(path.name for path in files if path not in scans and path.suffix not in (".label", ".confidence"))
    if scans and others:
        notice(f"{folder}: {len(others)} files are not read ({others[0]}, ...); scans are {formats[0]} files.")
    return scans


def report_scans_below(folder: Path, out: Path) -> None:
    """Report a folder without scans that has some in folders below it, other than the output ``out``."""
    from elite.point_files import SUFFIXES

    def has_scans(path: Path) -> bool:
        return path.is_dir() and any(file.suffix.lower() in SUFFIXES for file in path.iterdir())

    if has_scans(folder):
        return
    others = (path for depth in _DEPTHS for path in sorted(folder.glob(depth)) if path.resolve() != out.resolve())
    if (below := next(filter(has_scans, others), None)) is not None:
        notice(
            f"{folder}: expected scans in this folder, found some in {below}, which are not read. Give that folder, or "
            "label a data set with 'elite predict'."
        )


def report_unused(dataset: "Dataset") -> None:
    """Report files of a data set that are not used, one line per group."""
    for line in dataset.unused:
        notice(line)
