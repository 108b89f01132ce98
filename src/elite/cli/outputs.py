"""Files that commands write their results to."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from elite.errors import OutputError
from elite.files import TEXT_BYTES, parse_json, read_file, refuse_inputs, write_json

FAULTY = 1  # exit status of a command that ran and found faults
_OUTPUTS = ("out", "positional_out", "json", "picture")


def check_outputs(args: Namespace) -> None:
    """Check that no output file of a command is one of its inputs.

    Raises:
        OutputError: an output is an input, by any name; or --json names a file that is not a result of elite.
    """
    given = vars(args) | dict(getattr(args, "settings", []))
    outputs = {name: Path(given[name]) for name in _OUTPUTS if given.get(name) is not None}
    others = [value for name, value in given.items() if name not in outputs]
    inputs = [v for value in others for v in (value if isinstance(value, list) else [value])]
    for out in (path for path in outputs.values() if path.is_file()):
        refuse_inputs(out, *(Path(v) for v in inputs if isinstance(v, Path | str) and str(v)))
    if "json" in outputs and outputs["json"].exists():
        _check_replaceable(outputs["json"])


def refuse_existing(out: Path, *, overwrite: bool) -> None:
    """Check that an output file is new, or may be replaced.

    Raises:
        OutputError: it exists.
    """
    if out.exists() and not overwrite:
        raise OutputError(f"{out}: expected a new file, found an existing one. Give --overwrite, or another -o.")


def _check_replaceable(path: Path) -> None:
    """Check that a file that --json would replace is a result of elite."""
    expected = f"--json {path}: expected a new file or a result of elite"
    try:
        found = parse_json(read_file(path, TEXT_BYTES) or b"{}")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "a file that is not JSON"
        raise OutputError(f"{expected}, found {reason}. Choose another file.") from error
    if not (isinstance(found, dict) and (not found or str(found.get("command")).startswith("elite "))):
        raise OutputError(f"{expected}, found other JSON. Choose another file.")


def save_json(args: Namespace, result: dict[str, Any]) -> None:
    """Write the result of a command to the file of --json, with the command line and versions."""
    if args.json is None:
        return
    from elite.environment import describe

    write_json(args.json, {**result, "command": args.command_line, "versions": describe()})


def percent(value: float) -> str:
    """A share as a percentage, such as 63.1."""
    return f"{100 * value:.1f}"
