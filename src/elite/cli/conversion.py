"""The command ``elite convert``: a recording of ROS as a data set."""

import shlex
from argparse import Namespace
from functools import partial

from elite.cli.arguments import add_json, add_sensor
from elite.cli.outputs import save_json
from elite.cli.parser import Command, Flag, Parser, count, duration, resumes
from elite.paths import expanded, require_existing
from elite.terminal import notice, progress_bar, say

_SETTINGS = (  # by the same names as the options
    *("topic", "frame", "calibration", "poses", "sensor", "taxonomy", "deskew", "sync", "start", "stop", "every"),
    *("image_format", "sequence"),
)


def convert(args: Namespace) -> int:
    """Convert a recording of ROS to a data set: scans, images, poses and a dataset.yaml.

    Running it again resumes. Another recording of the same vehicle becomes another sequence of the data set.
    """
    from elite.conversion import ConversionSettings, parse_cameras
    from elite.conversion import convert as run

    settings = ConversionSettings(
        cameras=parse_cameras(args.cameras), **{name: getattr(args, name) for name in _SETTINGS}
    )
    report = run(args.recording, args.out, settings, partial(progress_bar, unit="scan", name="convert"))
    for note in report.notes:
        notice(note)
    for line in report.lines():
        say(line)
    say(f"next: elite check {shlex.quote(str(args.out))}")
    save_json(args, report.to_dict())
    return 0


def _arguments(parser: Parser) -> None:
    text = "Recording: .mcap, .db3, .bag, or a folder of ROS 2."
    check = partial(require_existing, expected="a recording")
    parser.add("recording", type=expanded, check=check, metavar="RECORDING", help=text)
    parser.add("-o", "--out", type=expanded, required=True, metavar="DATASET", help="Folder of the data set.")
    text = "Name of the sequence, a folder of DATASET (default: that of the recording)."
    parser.add("--sequence", metavar="NAME", help=text)
    parser.add("--topic", metavar="TOPIC", help="Point clouds (default: the only such topic).")
    parser.add("--frame", metavar="NAME", help="Coordinate frame of the clouds (default: that of the first one).")
    text = "Cameras as NAME,NAME, with other names as NAME=TOPIC,NAME=TOPIC, or none (default: all with a calibration)."
    parser.add("--cameras", metavar="LIST", help=text)
    text = "YAML file with K, dist, model and T_cam_lidar by name of the camera (default: CameraInfo and /tf_static)."
    parser.add("--calibration", type=expanded, metavar="YAML", help=text)
    text = "Poses of the vehicle as TOPIC or TOPIC=FRAME, or none (default: the only such topic)."
    parser.add("--poses", metavar="TOPIC", help=text)
    text = "Move each point by the poses from its own time to that of its scan."
    parser.add("--deskew", action=Flag, help=text)
    text = "Largest difference between the times of a scan and its image."
    parser.add("--sync", type=duration, default=0.05, metavar="TIME", help=text)
    parser.add("--start", type=duration, default=0.0, metavar="TIME", help="First part to leave out, such as 10s.")
    parser.add("--stop", type=duration, metavar="TIME", help="End, from the start of the recording (default: its end).")
    parser.add("--every", type=count, default=1, metavar="N", help="Number of scans of which one is converted.")
    text = "Files of raw images: jpg (quality 95) or png (lossless, slow). Compressed images keep their bytes."
    parser.add("--image-format", choices=("jpg", "png"), default="jpg", help=text)
    add_sensor(parser, "guessed from the points")
    text = "Classes of the labels: a packaged taxonomy or a YAML file (default: semantickitti)."
    parser.add("--taxonomy", metavar="NAME|YAML", help=text)
    add_json(parser)


CONVERT = Command(
    convert,
    _arguments,
    "RECORDING -o DATASET [options]",
    "elite convert drive.mcap -o fleet --cameras front=/cam_front/image_raw,left=/cam_left/image_raw",
    after_stop=resumes,
)
