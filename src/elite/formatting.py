"""Numbers and colours as text for pages and windows."""

from collections.abc import Iterable


def percent(share: float, digits: int = 1) -> str:
    """A share (0..1) in per cent. A no-break space keeps number and sign on one line."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def count(number: int) -> str:
    """An integer with its thousands separated."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def shortened(name: str, most: int) -> str:
    """A name of at most ``most`` characters, with an ellipsis if it was longer."""
    return name if len(name) <= most else name[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def hex_color(color: Iterable[int]) -> str:
    """An RGB colour (0..255) as in CSS, such as #ff453a."""
    return "#" + bytes([*color]).hex()
