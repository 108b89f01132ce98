"""Numbers, names and colours as text."""

from collections.abc import Collection, Iterable

_FEW_SEQUENCES = 22  # as many as SemanticKITTI has; nuScenes has 1,000


def percent(share: float, digits: int = 1) -> str:
    """A share (0..1) in per cent. A no-break space keeps number and sign on one line."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def count(number: int) -> str:
    """An integer with its thousands separated."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


def shortened(name: str, most: int) -> str:
    """A name of at most ``most`` characters, with an ellipsis if it was longer."""
    return name if len(name) <= most else name[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def some_of(names: Collection[str]) -> str:
    """The first three names and the last one, sorted."""
    listed = sorted(names)
    return ", ".join([*listed[:3], *(["..."] if len(listed) > 4 else []), *listed[3:][-1:]]) or "(none)"


def sequence_list(names: Collection[str]) -> str:
    """All names of sequences, or some and their number if there are more than SemanticKITTI has."""
    return ", ".join(names) if len(names) <= _FEW_SEQUENCES else f"{some_of(names)} ({len(names)})"


def hex_color(color: Iterable[int]) -> str:
    """An RGB colour (0..255) as in CSS, such as #ff453a."""
    return "#" + bytes([*color]).hex()
