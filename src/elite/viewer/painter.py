"""Draws the state of a frame in the window; parts that have not changed are not drawn again."""

from collections.abc import Callable, Hashable
from dataclasses import replace

import numpy as np

from elite.camera_tiles import surround_rows, tiled
from elite.errors import DataError
from elite.shapes import Bool, UInt8
from elite.viewer import text
from elite.viewer.cloud import Cloud, counts, visible_points
from elite.viewer.colors import Mode, Style, classes_of, make_style, missing, point_colors
from elite.viewer.frame_cache import FrameCache, FrameState
from elite.viewer.images import LABELS, REGIONS, Overlay, draw_labels
from elite.viewer.panel import ALL, Choice, Panel
from elite.viewer.scene_view import SceneView
from elite.viewer.source import Scene

WORST = 10  # frames in the list
_NOTHING = -1, np.zeros((0, 3), np.float32), np.zeros(0, np.int64)


class Painter:
    """Fills scene and panel.

    Attributes:
        drawn: (frame, visible points, their rows in the cloud).
    """

    def __init__(self, scene: SceneView, panel: Panel, cache: FrameCache) -> None:
        self.scene, self.panel, self.cache = scene, panel, cache
        self.drawn = _NOTHING
        self._drawn: dict[str, tuple[Hashable, ...]] = {}

    def paint(self, state: FrameState, choice: Choice) -> None:
        style = make_style(self.cache.source.taxonomy, dark=choice.dark, safe=choice.safe)
        colors = (choice.dark, choice.safe)
        self._once("background", colors, lambda: self._background(choice, style))
        mode = choice.mode if state.cloud is None or not missing(state.cloud, choice.mode) else Mode.HEIGHT
        if state.cloud is not None or state.complete:  # otherwise the previous frame stays until the next one is read
            self._frame(state, replace(choice, mode=mode), style, colors)
        self._status(state, choice)

    def _frame(self, state: FrameState, choice: Choice, style: Style, colors: tuple[bool, bool]) -> None:
        mode = choice.mode
        colored = (state, mode, choice.class_id, choice.hidden, *colors)
        self._once("cloud", (*colored, choice.size), lambda: self._cloud(state.cloud, choice, style))
        self._once("legend", (state, mode, *colors), lambda: self._legend(state.cloud, mode, style))
        self._once("cameras", (state.scene, choice.cameras, *colors), lambda: self._cameras(state.scene, choice, style))
        self._once("point", (state, choice.picked, *colors), lambda: self._point(state, choice, style))
        self._image(state, choice, style, colored)
        self._map(choice, style, (mode, choice.class_id, choice.hidden, *colors, choice.size))
        self._worst(choice)

    def _once(self, part: str, key: tuple[Hashable, ...], draw: Callable[[], None]) -> None:
        """Draw a part if its key has changed."""
        if self._drawn.get(part) != key:
            draw()
            self._drawn[part] = key

    def _background(self, choice: Choice, style: Style) -> None:
        self.panel.server.gui.configure_theme(
            dark_mode=choice.dark, show_logo=False, show_share_button=False, brand_color=(47, 111, 222)
        )
        self.panel.paint_legend(style)

    def _status(self, state: FrameState, choice: Choice) -> None:
        ids = self.cache.source.ids
        if not ids:
            content = text.status("Waiting for the first scan", None)
        else:
            title = "/".join(ids[choice.index])
            note = state.fault
            if not note and state.cloud is not None:
                waits = not state.complete and self.cache.source.has_predictions
                note = "Predicting ..." if waits else missing(state.cloud, choice.mode) or self._progress(choice)
            content = text.status(title, state.cloud, note or ("" if state.complete or state.cloud else "Reading ..."))
        self._once("status", (content,), lambda: setattr(self.panel.status, "content", content))

    def _cloud(self, cloud: Cloud | None, choice: Choice, style: Style) -> None:
        if cloud is None:
            self.drawn = _NOTHING
            self.scene.show_cloud(_NOTHING[1], np.zeros((0, 3), np.uint8), size=choice.size)
            return
        colors, drawn = _colors(cloud, choice, style)
        self.drawn = choice.index, cloud.points[drawn], np.flatnonzero(drawn)
        self.scene.show_cloud(self.drawn[1], colors[drawn], size=choice.size)

    def _legend(self, cloud: Cloud | None, mode: Mode, style: Style) -> None:
        if cloud is None:
            return
        labels = classes_of(cloud, mode)
        points = counts(labels, len(cloud.taxonomy))
        found = cloud.score
        self.panel.legend_head.content = text.legend_head(cloud, mode, style)
        self.panel.class_name.visible = mode is Mode.PROBABILITY
        for i, box in self.panel.classes:
            there = labels is not None and bool(points[i] or (found is not None and i in found.present))
            if box.visible != there:
                box.visible = there
            if there and box.label != (label := text.legend_label(i, cloud, points)):
                box.label = label

    def _cameras(self, scene: Scene | None, choice: Choice, style: Style) -> None:
        images = scene.frame.images if scene is not None and choice.cameras else {}
        cameras = {camera.name: camera for camera in scene.frame.cameras} if scene is not None else {}
        self.scene.show_cameras(cameras, images, style)

    def _point(self, state: FrameState, choice: Choice, style: Style) -> None:
        cloud, (frame, i) = state.cloud, choice.picked or (-1, 0)
        if cloud is None or state.scene is None or frame != choice.index:
            self.scene.mark(None, style)
            self.panel.point.content = text.plain("Click a point to show its values.")
            return
        self.scene.mark(cloud.points[i], style)
        pixels = {
            camera: tuple(view.pairs.pixel[view.pairs.point == i][0].tolist())
            for camera, view in state.scene.views.items()
            if (view.pairs.point == i).any()
        }
        self.panel.point.content = text.picked(cloud, i, self._raw_label(choice.index, i), pixels)

    def _raw_label(self, frame: int, point: int) -> int | None:
        try:
            return self.cache.source.raw_label(frame, point)
        except DataError:  # the file has changed since the frame was read
            return None

    def _image(self, state: FrameState, choice: Choice, style: Style, colored: tuple[Hashable, ...]) -> None:
        if not choice.camera:
            return
        there = state.scene is not None and choice.camera in state.scene.frame.images
        is_teacher = choice.overlay == Overlay.TEACHER and there
        teacher = self.cache.predict_teacher(choice.index, choice.camera) if is_teacher else None
        key = (*colored, choice.camera, choice.overlay, teacher)

        def draw() -> None:
            if not is_teacher:
                self.panel.show_image(*_image(state, choice, style))
            elif teacher is None:
                self.panel.show_image(None, "Predicting ...")
            elif teacher.value is None:
                self.panel.show_image(None, teacher.fault)
            else:
                self.panel.show_image(
                    draw_labels(teacher.value.image, teacher.value.labels, style, choice.hidden),
                    "Prediction of the teacher for each pixel of its image crop.",
                )

        self._once("image", key, draw)

    def _map(self, choice: Choice, style: Style, key: tuple[Hashable, ...]) -> None:
        if not choice.map or not self.cache.source.ids:
            self._once("map", (), lambda: self._show_map(None, choice, style))
            return
        result = self.cache.sequence_map(self.cache.source.ids[choice.index][0])
        note = "Building the map ..." if result is None else result.fault
        if result is not None and result.value is not None and missing(result.value.cloud, choice.mode):
            note = "The map shows the ground truth, or heights, because it does not run the network."
        self._once("map note", (note,), lambda: setattr(self.panel.map_note, "content", text.plain(note)))
        if result is None or result.value is None:
            return
        value = result.value
        T_velo_map = np.linalg.inv(value.poses[choice.index])
        self._once("map place", (result, choice.index), lambda: self.scene.place_map(T_velo_map))
        self._once("map", (result, *key), lambda: self._show_map(value.cloud, choice, style))

    def _show_map(self, cloud: Cloud | None, choice: Choice, style: Style) -> None:
        if cloud is None:
            self.scene.show_map(_NOTHING[1], np.zeros((0, 3), np.uint8), size=choice.size)
            return
        available = choice if not missing(cloud, choice.mode) else replace(choice, mode=Mode.GROUND_TRUTH)
        colors, drawn = _colors(cloud, available, style)
        self.scene.show_map(cloud.points[drawn], colors[drawn], size=1.5 * choice.size)

    def _progress(self, choice: Choice) -> str:
        """Progress of the search for the worst frames; empty if there is none."""
        if not choice.ranking:
            return ""
        _, done, of = self.cache.ranking()
        return "" if done == of else f"{done} of {of} frames scored ..."

    def _worst(self, choice: Choice) -> None:
        if not choice.ranking:
            return
        ranked, done, of = self.cache.ranking()
        rows = [("/".join(self.cache.source.ids[i]), s.miou_present, s.accuracy) for i, s in ranked[:WORST]]
        content = text.worst(rows, done, of)
        self._once("worst", (content,), lambda: setattr(self.panel.worst, "content", content))


def _colors(cloud: Cloud, choice: Choice, style: Style) -> tuple[UInt8[np.ndarray, "n 3"], Bool[np.ndarray, "n"]]:
    """Return the colours of all points, by height if the mode is not available, and which points are visible."""
    colors, mode = point_colors(cloud, choice.mode, style, choice.class_id), choice.mode
    if colors is None:
        mode = Mode.HEIGHT
        colors = point_colors(cloud, mode, style, choice.class_id)
    assert colors is not None
    return colors, visible_points(classes_of(cloud, mode), choice.hidden, len(cloud))


def _image(state: FrameState, choice: Choice, style: Style) -> tuple[UInt8[np.ndarray, "h w 3"] | None, str]:
    """Return the image with its overlay, or that of all cameras, or None and a note on what is missing."""
    scene, cloud, every = state.scene, state.cloud, choice.camera == ALL
    if scene is None or cloud is None:
        return None, state.fault
    views = {name: view.tile for name, view in scene.views.items()} if every else scene.views
    if not (views if every else choice.camera in views):
        return None, _no_image(scene, choice.camera)
    drawing = (choice.overlay, *_colors(cloud, choice, style), style, choice.hidden)
    drawn = {name: view.draw(*drawing) for name, view in views.items() if every or name == choice.camera}
    if not any(image is not None for image in drawn.values()):
        return None, _no_overlay(choice)
    if not every:
        return drawn[choice.camera], ""
    rows = surround_rows([camera for camera in scene.frame.cameras if camera.name in views])
    return tiled(rows, {name: views[name].image if image is None else image for name, image in drawn.items()}), ""


def _no_overlay(choice: Choice) -> str:
    if choice.overlay == Overlay.TEACHER:
        return "The teacher predicts the image of one camera. Select a camera."
    kind = choice.overlay.removeprefix(LABELS).removeprefix(REGIONS)
    return f"No labels of the kind '{kind}'. Generate them with 'elite pseudo-label'."


def _no_image(scene: Scene, camera: str) -> str:
    if camera == ALL or not scene.views:
        return "This frame has no image."
    return f"This frame has no image of {camera}. It has images of {', '.join(scene.views)}."
