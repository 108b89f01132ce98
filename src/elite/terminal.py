"""The only way to the terminal. Text from files is escaped, so that it cannot control the terminal."""

import sys
import unicodedata
from contextlib import AbstractContextManager, nullcontext

# Right-to-left marks and overrides reorder a line without being control characters.
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ESCAPED = frozenset({"Cc", "Cs", "Zl", "Zp"})


def say(text: object = "", *, error: bool = False) -> None:
    """Print ``text`` and a line feed to stdout, or to stderr if it is an ``error`` or a notice.

    Without such a stream (``sys.stdout`` is None in some services) nothing is printed.

    Raises:
        OSError: the stream cannot be written to: its reader is gone (BrokenPipeError), the disk is full.
    """
    with _above_progress_bars():
        print(printable(str(text)), file=sys.stderr if error else sys.stdout, flush=True)


def notice(text: object) -> None:
    """Print a warning: the command continues, and its exit status does not change."""
    say(f"elite: warning: {text}", error=True)


def printable(text: str) -> str:
    r"""Escape control characters (not line feed, not tab), reordering marks and bytes that are not UTF-8: ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or not _is_escaped(c) else _escape(c) for c in text)


def one_line(error: object) -> str:
    """Return a message as one printable line."""
    return printable(" ".join(str(error).split()))


def _above_progress_bars() -> AbstractContextManager[object]:
    """Clear the bars that are on the screen, if there are any, and redraw them after the text."""
    bars = sys.modules.get("tqdm")
    return nullcontext() if bars is None else bars.tqdm.external_write_mode(file=sys.stderr)


def _is_escaped(character: str) -> bool:
    return character in _REORDERING or unicodedata.category(character) in _ESCAPED


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
