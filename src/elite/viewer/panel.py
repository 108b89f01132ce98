"""Controls of the window. They write to a ``Choice`` and report changes; the viewer fills in the texts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import viser

from elite.shapes import UInt8
from elite.viewer import text
from elite.viewer.colors import Mode, Style
from elite.viewer.images import LABELS, REGIONS, Overlay
from elite.viewer.source import Source

ALL = "All cameras"  # in one image
_WIDTH, _WIDTH_OF_ALL = 560, 640  # pixels of the panel


@dataclass
class Choice:
    """Selected values of all controls.

    Attributes:
        index: frame, counted over all sequences.
        camera: name, or ``ALL``.
        picked: (frame, point) of the selected point.
    """

    index: int = 0
    playing: bool = False
    rate: float = 5.0
    mode: Mode = Mode.HEIGHT
    class_id: int = 1
    hidden: frozenset[int] = frozenset()
    dark: bool = True
    safe: bool = False
    size: float = 0.07
    cameras: bool = True
    map: bool = False
    follow: bool = False
    camera: str = ""
    overlay: str = Overlay.POINTS
    picked: tuple[int, int] | None = None
    ranking: bool = False


class Panel:
    """All controls.

    Args:
        choice: written by the controls.
        source: available sequences, cameras and labels.
        changed: called after each change.
        actions: actions of the buttons, by name.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        choice: Choice,
        source: Source,
        live: bool,
        changed: Callable[[], None],
        actions: Mapping[str, Callable[[], None]],
    ) -> None:
        self.server, self.choice, self.source, self.live = server, choice, source, live
        self.changed, self.actions = changed, actions
        self.boxes: dict[str, viser.GuiCheckboxHandle] = {}
        self.classes: list[tuple[int, viser.GuiCheckboxHandle]] = []
        self._add_all()

    def _add_all(self) -> None:
        gui = self.server.gui
        gui.set_panel_label("elite")
        self.status = gui.add_html("")
        self._add_time()
        self._add_colors()
        with gui.add_folder("Classes"):
            self._add_legend()
        with gui.add_folder("Point"):
            self.point = gui.add_html(text.plain("Click a point to show its values."))
        if not self.live:
            with gui.add_folder("Worst frames", expand_by_default=False):
                self._button("Find the worst frames", "rank")
                self.worst = gui.add_html("")
                self._button("Show the next one", "next_worst")
        with gui.add_folder("View", expand_by_default=False):
            self._add_view()
        with gui.add_folder("Keys", expand_by_default=False):
            gui.add_html(text.keys(live=self.live))
        if self.source.cameras:
            self._add_image()

    def _add_time(self) -> None:
        gui, choice = self.server.gui, self.choice
        sequences = list(dict.fromkeys(sequence for sequence, _ in self.source.ids))
        self.sequence = gui.add_dropdown("Sequence", sequences or [""], visible=len(sequences) > 1)
        self.sequence.on_update(self._when(self.actions["sequence"]))
        self.frame = gui.add_slider("Frame", min=0, max=1, step=1, initial_value=0)
        self.frame.on_update(self._when(self.actions["frame"]))
        self.play = self._button("Play", "play", icon=viser.Icon.PLAYER_PLAY)
        if self.live:
            self._checkbox("Follow", "follow", "Show each new scan.")
        else:
            rate = gui.add_slider("Frames per second", min=1, max=10, step=1, initial_value=choice.rate)
            rate.on_update(self._when(lambda: setattr(choice, "rate", rate.value)))

    def _add_colors(self) -> None:
        gui, choice = self.server.gui, self.choice
        self.mode = gui.add_dropdown("Colours", [mode.value for mode in Mode], initial_value=choice.mode.value)
        self.mode.on_update(self._when(lambda: setattr(choice, "mode", Mode(self.mode.value))))
        names, train_id = self.source.taxonomy.names, self.source.taxonomy.train_id
        self.class_name = gui.add_dropdown("Class", names[1:], initial_value=names[choice.class_id])
        self.class_name.on_update(self._when(lambda: setattr(choice, "class_id", train_id[self.class_name.value])))

    def _add_legend(self) -> None:
        gui = self.server.gui
        self.legend_style, self.legend_head = gui.add_html(""), gui.add_html("")
        names = self.source.taxonomy.names
        for i in (*range(1, len(names)), 0):
            box = gui.add_checkbox(text.legend_name(names[i]), initial_value=True)
            box.on_update(self._when(self._hide))
            self.classes.append((i, box))
        both = gui.add_button_group("", ("All", "None"))
        both.on_click(self._when(lambda: self._tick(both.value == "All")))

    def _hide(self) -> None:
        self.choice.hidden = frozenset(i for i, box in self.classes if not box.value)

    def _tick(self, value: bool) -> None:
        for _, box in self.classes:
            box.value = value
        self._hide()

    def _add_view(self) -> None:
        gui, choice = self.server.gui, self.choice
        size = gui.add_slider("Point size", min=0.02, max=0.3, step=0.01, initial_value=choice.size, hint="Metres.")
        size.on_update(self._when(lambda: setattr(choice, "size", size.value)))
        if self.source.cameras:
            self._checkbox("Cameras", "cameras", "Positions and images of the cameras. Key F.")
        if not self.live:
            self._checkbox("Map", "map", "All frames of the sequence at their poses. Key M.")
            self.map_note = gui.add_html("")
        self._checkbox("Safe colours", "safe", "Colour-blind-safe class colours. Key O.")
        self._checkbox("Dark", "dark", "Dark background. Key L.")
        gui.add_button_group("View from", ("Behind", "Above")).on_click(
            lambda event: self.actions["above" if event.target.value == "Above" else "behind"]()
        )

    def _add_image(self) -> None:
        choice, source = self.choice, self.source
        names = [*source.cameras, *([ALL] if len(source.cameras) > 1 else [])]
        choice.camera = ALL if len(source.cameras) > 2 else names[0]
        panel = self.server.gui.add_panel()
        with panel.add_tab("Image"):
            camera = self.server.gui.add_dropdown("Camera", names, initial_value=choice.camera, visible=len(names) > 1)

            def show_camera() -> None:
                choice.camera = camera.value
                panel.set_width(_WIDTH_OF_ALL if choice.camera == ALL else _WIDTH)

            camera.on_update(self._when(show_camera))
            self.overlay = self.server.gui.add_dropdown("Overlay", overlays(source))
            self.overlay.on_update(self._when(lambda: setattr(choice, "overlay", self.overlay.value)))
            self.image_note = self.server.gui.add_html("")
            self.image = self.server.gui.add_image(np.zeros((1, 1, 3), np.uint8), jpeg_quality=90, visible=False)
        panel.float(x=15, y=-15, width=_WIDTH_OF_ALL if choice.camera == ALL else _WIDTH)

    def _button(self, label: str, action: str, **options: Any) -> viser.GuiButtonHandle:
        button = self.server.gui.add_button(label, **options)
        button.on_click(lambda _: self.actions[action]())
        return button

    def _checkbox(self, label: str, name: str, hint: str) -> None:
        """Add a checkbox for a field of the choice."""
        box = self.server.gui.add_checkbox(label, initial_value=getattr(self.choice, name), hint=hint)
        box.on_update(self._when(lambda: setattr(self.choice, name, box.value)))
        self.boxes[name] = box

    def toggle(self, name: str) -> None:
        """Toggle a checkbox, for a key."""
        setattr(self.choice, name, not getattr(self.choice, name))
        if name in self.boxes:
            self.boxes[name].value = getattr(self.choice, name)
        self.changed()

    def _when(self, change: Callable[[], None]) -> Callable[[viser.GuiEvent[Any]], None]:
        """Return a callback that makes the change, unless the program itself changed the value."""

        def callback(event: viser.GuiEvent[Any]) -> None:
            if event.client is not None:
                change()
                self.changed()

        return callback

    def place(self, position: int, count: int, sequence: str, playing: bool) -> None:
        """Show the position among the ``count`` frames of a sequence, and whether it is playing."""
        highest = max(1, count - 1)
        if self.frame.max != highest:
            self.frame.max = highest
        if self.frame.value != position:
            self.frame.value = position
        self.frame.disabled = count < 2
        if sequence and self.sequence.value != sequence and sequence in self.sequence.options:
            self.sequence.value = sequence
        label = "Pause" if playing else "Play"
        if self.play.label != label:
            self.play.label, self.play.icon = label, viser.Icon.PLAYER_PAUSE if playing else viser.Icon.PLAYER_PLAY

    def set_mode(self, mode: Mode) -> None:
        """Select the colours, for a key."""
        self.choice.mode = mode
        self.mode.value = mode.value
        self.changed()

    def show_image(self, image: UInt8[np.ndarray, "h w 3"] | None, note: str) -> None:
        """Show an image, or a note in its place."""
        if image is not None:
            self.image.image = image
        self.image.visible = image is not None
        self.image_note.content = text.plain(note) if note else ""

    def paint_legend(self, style: Style) -> None:
        # CSS needs the id of each element, for which viser has no public interface.
        ids = {box._impl.uuid: i for i, box in self.classes}
        self.legend_style.content = text.legend_css(ids, style, self.source.taxonomy.names)


def overlays(source: Source) -> list[str]:
    """Names of all overlays of the image: points, none, dense labels and their regions, teacher."""
    dense = [name + kind for kind in source.dense for name in (LABELS, REGIONS)]
    return [Overlay.POINTS.value, Overlay.NONE.value, *dense, *([Overlay.TEACHER.value] if source.has_teacher else [])]
