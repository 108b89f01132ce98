"""Output to the terminal. Text from files is escaped: it cannot control the terminal."""

import logging
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

from elite.formatting import clock

Item = TypeVar("Item")
_logger: logging.Logger | None = None  # receives the texts instead of the terminal
_LINE_INTERVAL_S = 10.0  # between two lines of progress

# Right-to-left marks and overrides reorder a line without being control characters.
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ESCAPED = frozenset({"Cc", "Cs", "Zl", "Zp"})


def say(text: object = "", *, error: bool = False) -> None:
    """Print ``text`` and a line feed to stdout, or to stderr if it is an ``error`` or a notice.

    Nothing is printed if the stream does not exist (``sys.stdout`` is None in some services).

    Raises:
        OSError: the stream is not writable: its reader is gone (BrokenPipeError), or the disk is full.
    """
    if _logger is not None:
        return _logger.log(logging.WARNING if error else logging.INFO, "%s", printable(str(text)))
    with _above_progress_bars():
        print(printable(str(text)), file=sys.stderr if error else sys.stdout, flush=True)


def notice(text: object) -> None:
    """Print a warning: the command continues, and its exit status does not change."""
    say(text if _logger is not None else f"elite: warning: {text}", error=True)


@contextmanager
def logged(logger: logging.Logger) -> Iterator[None]:
    """Send the texts of the block to a logger instead of the terminal: notices and errors as warnings."""
    global _logger
    before, _logger = _logger, logger
    try:
        yield
    finally:
        _logger = before


def printable(text: str) -> str:
    r"""Escape control characters (not line feed, not tab), reordering marks and bytes that are not UTF-8: ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or not _is_escaped(c) else _escape(c) for c in text)


def one_line(error: object) -> str:
    """Return a message as one printable line."""
    return printable(" ".join(str(error).split()))


# ---- progress -----------------------------------------------------------------------------------------------------


def progress(items: Iterable[Item], total: int | None = None, *, unit: str = "scan", name: str = "") -> Iterator[Item]:
    """Iterate over ``items`` and report the progress, as ``progress_bar`` does.

    ``total`` is needed for items without a length, to report the time left.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress_bar(total, unit=unit, name=name) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def progress_bar(total: int | None, *, unit: str, name: str, enabled: bool = True) -> Iterator[Callable[[int], object]]:
    """Report progress on stderr: a bar on a terminal, otherwise a plain line every few seconds.

    Args:
        total: number of units, if known.
        unit: singular noun of a unit.
        name: name of the work.
        enabled: False = report nothing.

    Yields:
        Function that is called with the number of units done since its last call.
    """
    if not enabled:
        yield lambda count: None
    elif sys.stderr is not None and sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, unit=unit, desc=name, file=sys.stderr) as bar:
            yield bar.update
    else:
        lines = _ProgressLines(total, unit, name)
        yield lines.advance
        lines.finish()


class _ProgressLines:
    """Progress as plain lines, for files and services."""

    def __init__(self, total: int | None, unit: str, name: str) -> None:
        self._total, self._unit, self._name = total, unit, name
        self._done = 0
        self._start = self._last = time.monotonic()

    def advance(self, count: int) -> None:
        """Add ``count`` units, and print a line if the last one is old enough."""
        self._done += count
        now = time.monotonic()
        if now - self._last >= _LINE_INTERVAL_S:
            self._last = now
            say(self._line(now - self._start), error=True)

    def finish(self) -> None:
        """Print the last line."""
        say(f"{self._head()} in {clock(time.monotonic() - self._start)}", error=True)

    def _line(self, elapsed_s: float) -> str:
        if not self._done:
            return self._head()
        rate = self._done / elapsed_s
        left = f", {clock((self._total - self._done) / rate)} left" if self._total else ""
        return f"{self._head()}, {rate:.3g} {self._unit}s/s{left}"

    def _head(self) -> str:
        total = "" if self._total is None else f"/{self._total}"
        return f"{self._name}: {self._done}{total} {self._unit}s"


# ---- escaping -----------------------------------------------------------------------------------------------------


def _above_progress_bars() -> AbstractContextManager[object]:
    """Clear the bars on the screen, and redraw them after the text."""
    bars = sys.modules.get("tqdm")
    return nullcontext() if bars is None else bars.tqdm.external_write_mode(file=sys.stderr)


def _is_escaped(character: str) -> bool:
    return character in _REORDERING or unicodedata.category(character) in _ESCAPED


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
