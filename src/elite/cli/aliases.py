"""Earlier spellings of commands and options, translated into those of today before a command line is parsed."""

from collections.abc import Collection

VERBS = {
    "check-data": "check",
    "export-student": "export",
    "import-checkpoint": "import",
    "pseudo-label-score": "score-pseudo-labels",
}
_FIRST_ARGUMENTS = {"stream": "--checkpoint", "view": "--checkpoint"}
_LAST_ARGUMENTS = {"submit": "--data"}
_RENAMED = {("report", "--checkpoint"): "--model"}
_TRUTHS = ("true", "false")


def current_words(verb: str, words: list[str], flags: Collection[str]) -> list[str]:
    """Translate the arguments of ``elite VERB``.

    Args:
        verb: name of the command, one of today.
        words: its arguments.
        flags: its options that take no value. Earlier, these took ``true`` or ``false``.
    """
    words, rest = _before_separator([_hyphenated(word) for word in words])
    words = [_renamed(verb, word) for word in words]
    words = _without_truths(words, flags)
    words, first = _extract(words, _FIRST_ARGUMENTS.get(verb))
    words, last = _extract(words, _LAST_ARGUMENTS.get(verb))
    return [*first, *words, *last, *rest]


def _before_separator(words: list[str]) -> tuple[list[str], list[str]]:
    """(words before ``--``, the others)."""
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end:]


def _hyphenated(word: str) -> str:
    """``--data.label_fraction=0.1`` -> ``--data.label-fraction=0.1``."""
    name, equals, value = word.partition("=")
    return f"{name.replace('_', '-')}{equals}{value}" if word.startswith("--") else word


def _renamed(verb: str, word: str) -> str:
    name, equals, value = word.partition("=")
    return f"{_RENAMED.get((verb, name), name)}{equals}{value}"


def _without_truths(words: list[str], flags: Collection[str]) -> list[str]:
    """``--flag true``, ``--flag=true`` -> ``--flag``; ``--flag false`` -> ``--no-flag``."""
    found: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        truth = value.lower() if equals else word.lower()
        if equals and name in flags and truth in _TRUTHS:
            found.append(_flag(name, truth))
        elif not equals and truth in _TRUTHS and found and found[-1] in flags:
            found[-1] = _flag(found[-1], truth)
        else:
            found.append(word)
    return found


def _flag(name: str, truth: str) -> str:
    return name if truth == "true" else f"--no-{name[2:]}"


def _extract(words: list[str], option: str | None) -> tuple[list[str], list[str]]:
    """(words without an option and its value, the value)."""
    for i, word in enumerate(words if option else ()):
        name, equals, value = word.partition("=")
        if name == option:
            end = i + 1 if equals else i + 2
            return words[:i] + words[end:], [value] if equals else words[i + 1 : end]
    return words, []
