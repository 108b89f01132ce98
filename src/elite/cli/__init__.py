"""The command ``elite``. One function per command; heavy packages are imported when a command runs."""

import os
import shlex
import sys
from argparse import Namespace
from difflib import get_close_matches

from elite.cli.adaptation import ADAPT
from elite.cli.aliases import VERBS, current_words
from elite.cli.check import CHECK
from elite.cli.conversion import CONVERT
from elite.cli.datasets import SUBMIT, SYNTH
from elite.cli.exits import exit_status
from elite.cli.inspect import INSPECT
from elite.cli.models import EVALUATE, PREDICT, TRAIN
from elite.cli.outputs import check_outputs
from elite.cli.parser import Command, Parser
from elite.cli.pseudo_labels import PSEUDO_LABEL, SCORE_PSEUDO_LABELS
from elite.cli.results import ENV, REPORT
from elite.cli.speed import BENCH, STREAM
from elite.cli.student_files import EXPORT, IMPORT
from elite.cli.teachers import TRAIN_TEACHER
from elite.cli.viewing import VIEW
from elite.cli.zero_shot import ZERO_SHOT
from elite.errors import ConfigError
from elite.signals import Terminated
from elite.terminal import say
from elite.version import __version__

COMMANDS: dict[str, dict[str, Command]] = {
    "Data": {"inspect": INSPECT, "convert": CONVERT, "check": CHECK, "synth": SYNTH},
    "Training": {
        "train": TRAIN,
        "zero-shot": ZERO_SHOT,
        "train-teacher": TRAIN_TEACHER,
        "pseudo-label": PSEUDO_LABEL,
        "score-pseudo-labels": SCORE_PSEUDO_LABELS,
    },
    "Inference": {"predict": PREDICT, "stream": STREAM, "view": VIEW},
    "Evaluation": {"evaluate": EVALUATE, "report": REPORT, "submit": SUBMIT, "bench": BENCH},
    "Files and versions": {"export": EXPORT, "adapt": ADAPT, "import": IMPORT, "env": ENV},
}


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 = done; 1 = ran and found faults; 2 = could not run, with the reason in one line on stderr; 130 and 143 =
    stopped by SIGINT and SIGTERM; 141 = the reader of the output is gone.
    """
    # Idle threads spin only for a moment: with loader processes on few cores, long spinning costs several times the
    # work itself, and sleeping immediately costs half as much again. Read when torch starts.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    return exit_status(lambda: _run(sys.argv[1:] if argv is None else argv))


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        say(_overview())
        return 0
    if words[0] in ("-V", "--version"):
        say(f"elite {__version__}")
        return 0
    parser, command, args = _parse(words)
    parser.check_inputs(args)
    check_outputs(args)
    try:
        return command.run(args)
    except (Terminated, KeyboardInterrupt) as signal:
        signal.add_note(command.after_stop(args))
        raise


def parse(words: list[str]) -> tuple[Command, Namespace]:
    """Parse a command line. Its files need not exist.

    Raises:
        ConfigError: an unknown command or option, or an impossible value.
    """
    _, command, args = _parse(words)
    return command, args


def _parse(words: list[str]) -> tuple[Parser, Command, Namespace]:
    _refuse_undecodable(words)
    verb = VERBS.get(words[0], words[0])
    command = all_commands().get(verb)
    if command is None:
        close = get_close_matches(verb, all_commands(), 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ConfigError(f"'{verb}' is not a command{hint}; expected one of {', '.join(all_commands())}.")
    parser = Parser(verb, command, show_all="--help-all" in words)
    args = parser.parse(current_words(verb, words[1:], parser.flags))
    args.command_line = shlex.join(["elite", *words])
    return parser, command, args


def all_commands() -> dict[str, Command]:
    """Verb -> command."""
    return {verb: command for group in COMMANDS.values() for verb, command in group.items()}


def _refuse_undecodable(words: list[str]) -> None:
    for word in words:
        if any("\udc80" <= c <= "\udcff" for c in word):  # bytes that Python could not decode
            raise ConfigError(
                f"'{word}': expected a name in UTF-8, found other bytes. Rename it, or change into the folder and "
                "give '.'."
            )


def _overview() -> str:
    lines = [
        f"elite {__version__}: train a small LiDAR segmentation network with camera images as teacher",
        "",
        "usage: elite COMMAND [MODEL] DATA -o OUT",
    ]
    for heading, commands in COMMANDS.items():
        lines += ["", f"{heading}:", *(f"  {verb:20s} {command.summary}" for verb, command in commands.items())]
    return "\n".join([*lines, "", "elite COMMAND --help shows the arguments of a command."])
