"""Keys of the window. Each is a command, which the command palette (Ctrl or Cmd and K) lists."""

from collections.abc import Callable, Mapping
from functools import partial

import viser

from elite.viewer.colors import Mode
from elite.viewer.panel import Panel


def bind(server: viser.ViserServer, panel: Panel, actions: Mapping[str, Callable[[], None]]) -> None:
    """Bind keys to actions. viser itself binds W, A, S, D, Q, E and the arrows to the camera."""
    commands: list[tuple[str, str, Callable[[], None]]] = [
        ("Play or pause", "space", actions["play"]),
        ("Next frame", "N", actions["next"]),
        ("Previous frame", "B", actions["previous"]),
        ("View from behind the car", "C", actions["behind"]),
        ("View from above", "V", actions["above"]),
        ("Cameras on or off", "F", lambda: panel.toggle("cameras")),
        ("Colour-blind-safe colours", "O", lambda: panel.toggle("safe")),
        ("Light or dark background", "L", lambda: panel.toggle("dark")),
    ]
    if not panel.live:
        commands += [
            ("Next of the worst frames", "X", actions["next_worst"]),
            ("Map of the sequence", "M", lambda: panel.toggle("map")),
        ]
    commands += [(f"Colours: {m.value}", str(k), partial(panel.set_mode, m)) for k, m in enumerate(Mode, 1)]
    for label, key, action in commands:
        command = server.gui.add_command(label, hotkey=key)  # type: ignore[arg-type]  # a Literal of all keys
        command.on_trigger(_trigger(action))


def _trigger(action: Callable[[], None]) -> Callable[[object], None]:
    return lambda _: action()
