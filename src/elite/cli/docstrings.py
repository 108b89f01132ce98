"""Meaning of the fields of a dataclass, from its docstring."""

import inspect
import re

_FIELD = re.compile(r"^    (\w+(?:, \w+)*): (.*(?:\n(?:     .*)?)*)", re.MULTILINE)  # and its indented lines


def documented(record: type) -> tuple[str, dict[str, str]]:
    """Return the first line of a docstring, and the text of each entry of its section "Attributes", by name."""
    summary, _, body = inspect.cleandoc(record.__doc__ or "\n").partition("\n")
    entries = _FIELD.findall(body.partition("Attributes:\n")[2].partition("\nRaises:\n")[0])
    texts = {name: " ".join(text.split()) for names, text in entries for name in names.split(", ")}
    return summary, texts
