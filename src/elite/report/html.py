"""Pieces of HTML that the sections of the page are made of. Every text from outside is escaped here."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from PIL import Image


def chart(charts: Mapping[str, bytes], name: str, title: str, caption: str, wrap: str = "") -> str:
    """A chart with its title and caption, nothing if there is no such chart; ``wrap`` is a style for around it."""
    if name not in charts:
        return ""
    picture = image(charts[name], f"{title}. {caption}")
    return (
        f'<figure class="chart"><h3>{escape(title)}</h3><div class="{wrap}">{picture}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def table(title: str, values: Mapping[str, Any]) -> str:
    """Names and values as rows; nothing at all if every value is empty."""
    rows = "".join(
        f"<tr><th>{escape(str(key))}</th><td>{_cell(key, value)}</td></tr>"
        for key, value in values.items()
        if value not in ("", None)
    )
    return f'<div class="note"><h3>{title}</h3><table>{rows}</table></div>' if rows else ""


def _cell(key: str, value: Any) -> str:
    if isinstance(value, Mapping):
        value = ", ".join(f"{name} {part}" for name, part in value.items())
    return f"<code>{escape(str(value))}</code>" if key in ("command", "commit") else escape(str(value))


def numbers(title: str, heads: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """Named rows of numbers below their heads; the first head is that of the names."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for name, cells in rows.items()
    )
    return f'<div class="note"><h3>{escape(title)}</h3><table class="numbers"><tr>{head}</tr>{body}</table></div>'


def image(png: bytes, alt: str) -> str:
    """A picture inside the page."""
    width, height = Image.open(io.BytesIO(png)).size
    data = base64.b64encode(png).decode()
    return f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" alt="{escape(alt)}">'


def percent(share: float, digits: int = 1) -> str:
    # A no-break space: the number and its sign stay on one line.
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def count(number: int) -> str:
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
