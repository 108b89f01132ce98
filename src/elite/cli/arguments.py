"""Arguments that several commands share."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elite.cli.outputs import refuse_existing
from elite.cli.parser import Flag, Parser, check_data, check_model, check_scans, metres
from elite.errors import ConfigError
from elite.packaged_students import student_path
from elite.paths import expanded

if TYPE_CHECKING:
    from elite.datasets import Dataset

BACKENDS = ("auto", "native", "torch", "spconv")
PRECISIONS = ("fp32", "bf16", "int8")
_PREDICTION_FORMATS = ("label", "npy", "pcd", "ply")  # those of elite.prediction_formats, which imports numpy
_COMPUTATION = "Computation"

MODEL_SUFFIX = ".elite"  # of the files of libelite


def add_model(parser: Parser, *, optional: bool = False) -> None:
    """Add the positional argument MODEL."""
    text = "Student: run checkpoint (.ckpt), exported student (.safetensors, .elite), or name of a packaged one."
    parser.add(
        "model", type=student_path, check=check_model, metavar="MODEL", nargs="?" if optional else None, help=text
    )


def add_data(parser: Parser, *, optional: bool = False) -> None:
    """Add the positional argument DATA: a data set."""
    text = "Data set: its dataset.yaml, or the folder that contains sequences/ or v1.0-trainval/."
    parser.add("data", type=expanded, check=check_data, metavar="DATA", nargs="?" if optional else None, help=text)


def add_scans(parser: Parser, others: str = "") -> None:
    """Add the positional argument DATA: a data set, scans or ``others``."""
    text = f"Data set, folder of scans, or scan files of the sensor of MODEL{others}."
    parser.add("data", type=expanded, check=check_scans, metavar="DATA", nargs="+", help=text)


def add_output(parser: Parser, text: str, metavar: str) -> None:
    """Add -o, which ``output_path`` reads. Earlier versions took it as the last positional argument."""
    parser.add("-o", "--out", type=expanded, metavar=metavar, help=text)
    parser.add("positional_out", type=expanded, nargs="?", hidden=True, help="")


def add_overwrite(parser: Parser, **options: Any) -> None:
    """Add --overwrite, for ``refuse_existing``."""
    parser.add("--overwrite", action=Flag, help="Replace a file that -o names.", **options)


def output_path(out: Path | None, positional: Path | None) -> Path:
    """Output path, given by -o or as the last positional argument.

    Raises:
        ConfigError: it is missing, or given twice.
    """
    if (out is None) == (positional is None):
        found = "none" if out is None else f"{out} and {positional}"
        raise ConfigError(f"-o: expected one output, found {found}. Give -o OUT.")
    return out or positional  # type: ignore[return-value]


def add_student_output(parser: Parser, text: str = "Student file to write (.safetensors).") -> None:
    """Add -o of a student file, which ``student_output`` reads."""
    add_output(parser, text, "STUDENT")
    add_overwrite(parser)


def student_output(args: Namespace, *more_suffixes: str) -> Path:
    """Path of the student file to write: .safetensors or one of ``more_suffixes``.

    Raises:
        ConfigError: it is missing, given twice, or has another suffix.
        OutputError: it exists, and --overwrite is not given.
    """
    out, suffixes = output_path(args.out, args.positional_out), (".safetensors", *more_suffixes)
    if out.suffix not in suffixes:
        expected = " or ".join(suffixes)
        raise ConfigError(f"{out}: expected a name that ends in {expected}, found '{out.suffix}'. Rename the output.")
    refuse_existing(out, overwrite=args.overwrite)
    return out


def add_output_format(parser: Parser) -> None:
    """Add --as, the format of files of labels."""
    text = "Contents: label = raw ids; npy = the same as an array; pcd, ply = the points with class_id, probability, "
    text += "entropy."
    parser.add("--as", choices=_PREDICTION_FORMATS, default="label", dest="format_of_output", help=text)


def add_selection(parser: Parser, *, split: bool = False) -> None:
    """Add the options that select sequences and frames."""
    if split:
        text = "Split or sequences: train, valid (of nuScenes: val), test, 00,08 or scene-0061."
        parser.add("--split", default="valid", metavar="NAME", help=text)
    else:
        text = "Splits or sequences, such as train, 00,08 or scene-0061 (default: all)."
        parser.add("--sequences", metavar="NAME", help=text)
    parser.add("--frames", metavar="RANGES", help="Frames within each sequence, such as 0-2,7 (default: all).")


def add_labels(parser: Parser) -> None:
    parser.add("--labels", default="labels", metavar="NAME", help="Label folder: labels, labels_partial, scribbles.")


def add_format_name(parser: Parser) -> None:
    """Add --format."""
    text = "Format: described, semantickitti, nuscenes, or a class package.module:Class (default: recognised)."
    parser.add("--format", metavar="NAME", help=text)


def add_format(parser: Parser, classes: str = "those of its format") -> None:
    """Add --format, --taxonomy and --sensor, which ``open_data`` reads; ``classes`` is the default of the second."""
    add_format_name(parser)
    text = f"Classes of its labels: a packaged taxonomy or a YAML file (default: {classes})."
    parser.add("--taxonomy", metavar="NAME|YAML", help=text)
    add_sensor(parser, "that of DATA")


def add_sensor(parser: Parser, default: str) -> None:
    """Add --sensor."""
    text = f"LiDAR of the scans: a packaged sensor or a YAML file (default: {default})."
    parser.add("--sensor", metavar="NAME|YAML", help=text)


def open_data(root: Path, args: Namespace, **options: Any) -> "Dataset":
    """Open a data set with the options of ``add_format`` and those of its reader; errors as ``open_dataset``."""
    from elite.datasets import open_dataset

    return open_dataset(root, args.format, taxonomy=args.taxonomy, sensor=args.sensor, **options)


def add_cameras(parser: Parser, default: str | None, text: str = "") -> None:
    """Add --cameras; ``text`` describes a default that is computed."""
    text = f"Cameras, such as image_2,image_3 or CAM_FRONT,CAM_BACK, or none{text}."
    parser.add("--cameras", default=default, metavar="NAMES", help=text)


def add_json(parser: Parser) -> None:
    parser.add("--json", type=expanded, metavar="FILE", help="JSON file to write the result to.")


def add_device(parser: Parser) -> None:
    text = "Device: auto, cpu, cuda or cuda:N."
    parser.add("--device", default="auto", metavar="NAME", heading=_COMPUTATION, help=text)


def add_compute(parser: Parser) -> None:
    """Add the options of inference, which ``load_segmenter`` reads."""
    add_device(parser)
    text = "Backend of the sparse convolutions."
    parser.add("--backend", choices=BACKENDS, default="auto", heading=_COMPUTATION, help=text)
    text = "Number format of the network on a CPU. int8 takes half the time; bf16 is faster on AMD Zen 4+ and with AMX."
    parser.add("--precision", choices=PRECISIONS, default="fp32", heading=_COMPUTATION, help=text)
    text = "Number of test-time-augmentation views (1 = off)."
    parser.add("--votes", type=int, default=1, metavar="N", heading=_COMPUTATION, help=text)
    text = "Average of the views: softmax, logits, or released = logits of the published views, all rotated."
    ways = ("softmax", "logits", "released")
    parser.add("--vote-by", choices=ways, default="softmax", heading=_COMPUTATION, help=text)
    parser.add("--seed", type=int, default=0, metavar="N", heading=_COMPUTATION, help="Seed of the rotated views.")
    add_conversion(parser)


def add_conversion(parser: Parser) -> None:
    """Add the options of the conversion and the checks of scans."""
    text = "Remission: scale = divided by the largest value of the sensor, quantile = the training value of the same "
    text += "rank in the scan, zero = 0."
    parser.add("--intensity", choices=("scale", "quantile", "zero"), default="scale", help=text)
    text = "Mounting height of the sensor, in metres: z is shifted to that of the training scans (default: the same)."
    parser.add("--height", type=metres, metavar="M", help=text)
    add_strict(parser)


def add_fill_radius(parser: Parser) -> None:
    """Add --fill-radius."""
    text = "Metres from the nearest point in the student's volume beyond which points outside get no label: "
    text += "the first id of the ignored class (default: unlimited)."
    parser.add("--fill-radius", type=metres, metavar="M", help=text)


def add_strict(parser: Parser) -> None:
    parser.add("--strict", action=Flag, help="Doubtful inputs are errors instead of warnings.")
