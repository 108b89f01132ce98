"""The command ``elite``. One function per command; what is heavy is imported when its command runs."""

import os
import sys
from collections.abc import Callable

from jsonargparse import ArgumentParser

from elite.cli.datasets import check_data, submit, synth
from elite.cli.exits import exit_status
from elite.cli.models import evaluate, export_student, import_checkpoint, predict, train
from elite.cli.parsing import Parser
from elite.cli.pseudo_labels import pseudo_label, pseudo_label_score
from elite.cli.results import env, report
from elite.cli.speed import bench, stream
from elite.cli.teachers import train_teacher
from elite.cli.viewing import view
from elite.errors import ConfigError
from elite.terminal import say
from elite.version import __version__

COMMANDS: dict[str, Callable[[ArgumentParser, list[str]], int]] = {
    "check-data": check_data,
    "synth": synth,
    "train": train,
    "train-teacher": train_teacher,
    "pseudo-label": pseudo_label,
    "pseudo-label-score": pseudo_label_score,
    "evaluate": evaluate,
    "predict": predict,
    "stream": stream,
    "view": view,
    "submit": submit,
    "import-checkpoint": import_checkpoint,
    "export-student": export_student,
    "report": report,
    "bench": bench,
    "env": env,
}


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 = done; 1 = ran and found faults; 2 = could not run, the reason in one line on stderr; 130 and 143 = stopped by
    SIGINT and SIGTERM; 141 = the reader of the output is gone.
    """
    # Idle threads spin only for a moment: beside loader processes on few cores, long spinning costs several times the
    # work itself, and sleeping at once costs half as much again. Read when torch starts.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    return exit_status(lambda: _run(sys.argv[1:] if argv is None else argv))


def _run(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        say(_overview())
        return 0
    if argv[0] in ("-V", "--version"):
        say(f"elite {__version__}")
        return 0
    if argv[0] not in COMMANDS:
        raise ConfigError(f"'{argv[0]}' is not a command; expected one of {', '.join(COMMANDS)}.")
    for word in argv:
        if any("\udc80" <= c <= "\udcff" for c in word):  # bytes that Python could not decode
            raise ConfigError(
                f"'{word}': expected a name in UTF-8, found other bytes. Rename it, or change into the folder and "
                "give '.'."
            )
    command = COMMANDS[argv[0]]
    return command(Parser(prog=f"elite {argv[0]}", description=command.__doc__), argv[1:])


def _overview() -> str:
    lines = [f"elite {__version__}: teach a small LiDAR network from camera images", "", "usage: elite COMMAND ..."]
    lines += ["", *(f"  {name:18s} {(f.__doc__ or '').splitlines()[0]}" for name, f in COMMANDS.items())]
    return "\n".join([*lines, "", "elite COMMAND --help tells the arguments of each."])
