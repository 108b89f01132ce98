"""Numbers and colours as text for pages and windows."""

from collections.abc import Iterable


def percent(share: float, digits: int = 1) -> str:
    """A share (0..1) in per cent. A no-break space keeps number and sign on one line."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def count(number: int) -> str:
    """An integer with its thousands separated."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def hex_color(color: Iterable[int]) -> str:
    """An RGB colour (0..255) as in CSS, such as #ff453a."""
    return "#" + bytes([*color]).hex()
