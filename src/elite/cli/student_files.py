"""Commands about files of the student: export, import."""

from argparse import Namespace

from elite.cli.arguments import MODEL_SUFFIX, add_student_output, student_output
from elite.cli.parser import Command, Flag, Parser, check_model
from elite.errors import ConfigError
from elite.packaged_students import student_path
from elite.paths import expanded
from elite.terminal import say


def export_student(args: Namespace) -> int:
    """Export the student of a training checkpoint: as a student file, or as a model file for libelite (.elite)."""
    out = student_output(args, MODEL_SUFFIX)
    is_model = out.suffix == MODEL_SUFFIX
    if args.precision is not None and not is_model:
        raise ConfigError(f"--precision: expected a model file ({MODEL_SUFFIX}), found {out}. Rename the output.")

    from elite.student import load_student, save_student
    from elite.student.model_file import save_model

    student = load_student(args.model)
    if is_model:
        save_model(student, out, precision=args.precision or "fp32", half=args.half)
    else:
        save_student(student, out, half=args.half)
    say(f"{'model' if is_model else 'student'} written to {out}")
    return 0


def import_checkpoint(args: Namespace) -> int:
    """Convert a published 2DPASS or ELiTe checkpoint into a student, with a report of all its keys."""
    out = student_output(args)

    from elite.student import save_student
    from elite.student.published import import_published
    from elite.taxonomy import load_taxonomy

    taxonomy = None if args.taxonomy is None else load_taxonomy(args.taxonomy)

    student, report = import_published(args.model, layout=args.weight_layout, taxonomy=taxonomy)
    save_student(student, out)
    say("\n".join(report.lines()))
    say(f"classes of {student.taxonomy.name}; --taxonomy selects others")
    say(f"{sum(p.numel() for p in student.parameters()):,} parameters written to {out}")
    return 0


def _export_arguments(parser: Parser) -> None:
    text = "Checkpoint of a training run (.ckpt), or another student."
    parser.add("model", type=student_path, check=check_model, metavar="CHECKPOINT", help=text)
    add_student_output(parser, "Student file (.safetensors) or model file of libelite (.elite) to write.")
    text = "Precision that libelite uses unless its caller selects another (default: fp32; of a model file only)."
    parser.add("--precision", choices=("fp32", "bf16", "int8"), help=text)
    text = "Store the weights in float16: half the bytes; labels may differ at few points."
    parser.add("--half", action=Flag, help=text)


def _import_arguments(parser: Parser) -> None:
    text = "Published checkpoint (.ckpt)."
    parser.add("model", type=expanded, check=check_model, metavar="CHECKPOINT", help=text)
    add_student_output(parser)
    text = "Weight layout: KRSC, RSKC (spconv 2.0 and 2.1) or RSCK (spconv 1.x) (default: detected)."
    parser.add("--taxonomy", metavar="NAME|YAML", help="Classes of the logits (default: by their number).")
    parser.add("--weight-layout", choices=("KRSC", "RSKC", "RSCK"), help=text)


EXPORT = Command(
    export_student,
    _export_arguments,
    "CHECKPOINT -o STUDENT",
    "elite export runs/first/checkpoints/best.ckpt -o student.safetensors",
)
IMPORT = Command(
    import_checkpoint,
    _import_arguments,
    "CHECKPOINT -o STUDENT [options]",
    "elite import 2dpass.ckpt -o student.safetensors",
)
