"""The command ``elite inspect``: what a recording or files of points contain, and how to describe them."""

from argparse import ArgumentTypeError, Namespace
from pathlib import Path

from elite.cli.arguments import add_json, add_sensor
from elite.cli.outputs import FAULTY, save_json
from elite.cli.parser import Command, Parser
from elite.cli.scans import loose_scans
from elite.errors import DataError
from elite.files import write_bytes
from elite.inspection.sources import kind_of_source
from elite.paths import expanded, require_existing
from elite.terminal import progress, say


def inspect(args: Namespace) -> int:
    """Report the contents of a recording, or of files of points, and the sensor to write to dataset.yaml.

    With --against, compare the scans with those of another source, such as rendered ones with real ones: both may be
    data sets too. Ten evenly spaced scans are measured. Exit status 1 if parts are damaged, or a recording has no point
    clouds.
    """
    return _report(args) if args.against is None else _compare(args)


def _report(args: Namespace) -> int:
    kind = kind_of_source(args.data)  # refuses data sets before the imports, which take seconds
    from elite.inspection.recordings import inspect_recording
    from elite.inspection.scan_files import inspect_files
    from elite.inspection.tables import report_lines
    from elite.sensor import load_sensor

    if args.picture is not None:
        from elite.inspection.pictures import scan_picture  # needs the extra report
    sensor = None if args.sensor is None else load_sensor(args.sensor)
    if kind == "recording":
        parts = lambda items, total: progress(items, total, unit="part", name="inspect")  # noqa: E731
        report, scans = inspect_recording(args.data, topic=args.topic, sensor=sensor, progress=parts)
    else:
        files = lambda items, total: progress(items, total, unit="file", name="inspect")  # noqa: E731
        report, scans = inspect_files(args.data, _files(args.data), sensor=sensor, progress=files)
    for line in report_lines(report):
        say(line)
    if args.picture is not None and scans:
        write_bytes(args.picture, scan_picture(report, scans[0]))
        say(f"picture: {args.picture}")
    save_json(args, report.to_dict())
    return FAULTY if report.faults or not any(cloud.sensor for cloud in report.clouds) else 0


def _compare(args: Namespace) -> int:
    """Print the statistics of the scans of DATA beside those of --against."""
    from elite.inspection.compared_scans import scans_to_compare
    from elite.inspection.comparison import compare, comparison_lines
    from elite.sensor import load_sensor

    if args.picture is not None:
        from elite.inspection.pictures import comparison_picture  # needs the extra report
    sensor = None if args.sensor is None else load_sensor(args.sensor)
    paths = args.data, args.against
    parts = lambda items, total: progress(items, total, unit="part", name="inspect")  # noqa: E731
    first, second = (scans_to_compare(p, _files, topic=args.topic, sensor=sensor, progress=parts) for p in paths)
    rows = compare(first, second)
    for line in comparison_lines(rows, paths, (len(first), len(second))):
        say(line)
    if args.picture is not None:
        write_bytes(args.picture, comparison_picture((first[0], second[0]), paths))
        say(f"picture: {args.picture}")
    result = {"path": str(args.data), "against": str(args.against), "scans": [len(first), len(second)]}
    save_json(args, result | {"statistics": [row.to_dict() for row in rows]})
    return 0


def _files(path: Path) -> list[Path]:
    """The file, or the files of points of a folder."""
    files = loose_scans(path) if path.is_dir() else [path]
    if not files:
        from elite.point_files import SUFFIXES

        folders = sorted(entry.name for entry in path.iterdir() if entry.is_dir())
        found = f"the folders {', '.join(folders[:5])}. Give one of them" if folders else "others. Check the path"
        kinds = ", ".join((*SUFFIXES, ".mcap", ".db3", ".bag"))
        raise DataError(f"{path}: expected files {kinds}, found {found}.")
    return files


def _check_source(path: Path) -> None:
    """Check that a path exists. The kind of its data depends on --against."""
    require_existing(path, "a recording, a file of points or a folder of them")


def _png(text: str) -> Path:
    """Path of a PNG file."""
    if (path := expanded(text)).suffix.lower() != ".png":
        raise ArgumentTypeError(f"expected a .png file, found '{text}'")
    return path


def _inspect_arguments(parser: Parser) -> None:
    text = "Recording (.mcap, .db3, .bag, folder of ROS 2), file of points, or folder of them."
    parser.add("data", type=expanded, check=_check_source, metavar="DATA", help=text)
    text = "Source to compare DATA with, such as real scans of a rendered sensor. Both may be data sets too."
    parser.add("--against", type=expanded, check=_check_source, metavar="DATA", help=text)
    text = "Topic of the point clouds to measure (default: all)."
    parser.add("--topic", metavar="NAME", help=text)
    add_sensor(parser, "guessed from the scans")
    text = "PNG file for a picture of a scan: from above, and from the sensor."
    parser.add("--picture", type=_png, metavar="FILE", help=text)
    add_json(parser)


INSPECT = Command(inspect, _inspect_arguments, "DATA [options]", "elite inspect drive.mcap --picture drive.png")
