"""Argument parser of one command: short and complete help, errors in one line."""

from argparse import SUPPRESS, Action, ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from elite.errors import ConfigError, DataError
from elite.packaged_students import expected_student
from elite.paths import require_existing

ARGUMENTS, OPTIONS = "Arguments", "Options"
SAME_COMMAND = "Run the same command to continue."
_HELP_WIDTH = 110
_UNITS = (("ms", 1e-3), ("s", 1.0), ("", 1.0))  # of a duration


@dataclass(frozen=True)
class Command:
    """A command of ``elite``.

    Attributes:
        run: runs it with its parsed arguments and returns the exit status. Its docstring is the description.
        arguments: adds its arguments to a parser.
        usage: its arguments in one line, without ``elite VERB``.
        example: a complete command line.
        after_stop: sentence about how to continue after a signal, by the parsed arguments; empty = it starts again.
    """

    run: Callable[[Namespace], int]
    arguments: Callable[["Parser"], None]
    usage: str
    example: str
    after_stop: Callable[[Namespace], str] = lambda _: ""

    @property
    def description(self) -> str:
        return "\n".join(line.strip() for line in (self.run.__doc__ or "").strip().splitlines())

    @property
    def summary(self) -> str:
        return self.description.splitlines()[0]


def resumes(_: Namespace) -> str:
    """Sentence of the commands that resume when they are run again."""
    return SAME_COMMAND


class Parser(ArgumentParser):
    """Parser whose options are whole words in any order, and whose errors are ConfigErrors.

    Attributes:
        documented: heading -> the arguments below it, without aliases.
        flags: options that take no value.
    """

    def __init__(self, verb: str, command: Command, *, show_all: bool = False) -> None:
        super().__init__(
            prog=f"elite {verb}",
            usage=f"elite {verb} {command.usage}",
            description=command.description,
            epilog=f"Example:\n  {command.example}",
            formatter_class=lambda prog: RawDescriptionHelpFormatter(prog, width=_HELP_WIDTH, max_help_position=34),
            allow_abbrev=False,
            add_help=False,
        )
        self.documented: dict[str, list[Action]] = {}
        self.flags: set[str] = set()
        self._headings: dict[str, Any] = {}
        self._checks: dict[str, Callable[[Path], None]] = {}
        self._show_all = show_all
        self._has_advanced = False
        self._known: list[str] = []
        command.arguments(self)
        self.add("-h", "--help", action="help", help="Show this help and exit.")
        if self._has_advanced:
            self.add("--help-all", action="help", help="Show all settings and exit.")

    def add(
        self,
        *names: str,
        heading: str = "",
        check: Callable[[Path], None] | None = None,
        hidden: bool = False,
        advanced: bool = False,
        **options: Any,
    ) -> None:
        """Add an argument below a heading of the help.

        Args:
            names: its option strings, or the name of a positional argument.
            heading: by default "Arguments" or "Options".
            check: raises an EliteError if the path is not that of a suitable file; called by ``check_inputs``.
            hidden: an old spelling, not documented.
            advanced: shown by --help-all only.
            options: those of ``ArgumentParser.add_argument``.
        """
        is_option = names[0].startswith("-")
        heading = heading or (OPTIONS if is_option else ARGUMENTS)
        if heading not in self._headings:
            self._headings[heading] = self.add_argument_group(heading)
        text = SUPPRESS if hidden or (advanced and not self._show_all) else _help_text(options)
        action = self._headings[heading].add_argument(*names, **options | {"help": text})
        self._has_advanced |= advanced
        self.flags |= set(action.option_strings) if action.nargs == 0 else set()
        self._known += action.option_strings
        if check is not None:
            self._checks[action.dest] = check
        if not hidden:
            self.documented.setdefault(heading, []).append(action)

    def parse(self, words: list[str]) -> Namespace:
        """Parse the words of a command line.

        Raises:
            ConfigError: an unknown option, or a missing or impossible value.
        """
        args, unknown = self.parse_known_intermixed_args(words)
        if unknown:
            self.error(f"'{unknown[0]}' is not an argument of this command{self._nearest(unknown[0])}")
        return args

    def check_inputs(self, args: Namespace) -> None:
        """Check that the input files exist, before anything slow is imported.

        Raises:
            DataError: one does not.
        """
        for name, check in self._checks.items():
            value = getattr(args, name)
            for path in value if isinstance(value, list) else [value] if value is not None else []:
                check(path)

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{' '.join(message.split())} (see '{self.prog} --help')")

    def _nearest(self, word: str) -> str:
        close = get_close_matches(word.partition("=")[0], self._known, 1)
        return f"; did you mean {close[0]}?" if close else ""


def _help_text(options: dict[str, Any]) -> str:
    """Help text with the default value; argparse replaces %-forms in it."""
    text, default = options["help"], options.get("default")
    if default is not None and default is not False and default != SUPPRESS:
        text = f"{text.rstrip('.')} (default: {default})."
    return text.replace("%", "%%")


class Flag(Action):
    """``--name`` and ``--no-name``."""

    def __init__(self, option_strings: list[str], dest: str, default: Any = False, **options: Any) -> None:
        super().__init__(with_negations(option_strings), dest, nargs=0, default=default, **options)

    def __call__(self, parser: Any, namespace: Namespace, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, not is_negation(option_string or ""))


def with_negations(names: list[str]) -> list[str]:
    return [*names, *(f"--no-{name[2:]}" for name in names if name.startswith("--"))]


def is_negation(option: str) -> bool:
    return option.startswith("--no-")


# ---- values -----------------------------------------------------------------------------------------------


def metres(text: str) -> float:
    """A distance of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not value >= 0:
        raise ArgumentTypeError(f"expected metres, at least 0, found '{text}'")
    return value


def duration(text: str) -> float:
    """Seconds, from ``0.05``, ``50ms`` or ``2s``."""
    unit, factor = next((unit, factor) for unit, factor in _UNITS if text.endswith(unit))
    try:
        value = float(text.removesuffix(unit)) * factor
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ArgumentTypeError(f"expected a time such as 50ms or 2.5s, found '{text}'")
    return value


def count(text: str) -> int:
    """A whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise ArgumentTypeError(f"expected a whole number of at least 1, found '{text}'")
    return value


def check_model(path: Path) -> None:
    """Check that a checkpoint or a student file exists.

    Raises:
        DataError: the file does not exist.
    """
    require_existing(path, expected_student())
    if path.is_dir():
        raise DataError(f"{path}: expected a checkpoint, found a folder. Give a file in it.")


def check_data(path: Path) -> None:
    """Check that the folder of a data set exists.

    Raises:
        DataError: the folder does not exist.
    """
    require_existing(path, "the folder of a data set")


def check_scans(path: Path) -> None:
    """Check that a data set, a folder of scans or a scan exists.

    Raises:
        DataError: the file or folder does not exist.
    """
    require_existing(path, "a data set, a folder of scans or a scan")


def check_folder(path: Path) -> None:
    """Check that a folder exists.

    Raises:
        DataError: the folder does not exist.
    """
    require_existing(path, "a folder")
    if not path.is_dir():
        raise DataError(f"{path}: expected a folder, found a file. Give the folder that contains it.")
