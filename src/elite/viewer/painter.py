"""From what is known and chosen to what is seen: fills stage and panel, only where something has changed."""

from collections.abc import Callable, Hashable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, UInt8

from elite.errors import DataError
from elite.viewer import text
from elite.viewer.colors import Mode, Style, classes_of, missing, point_colors, style
from elite.viewer.images import REGIONS, Picture, with_labels, with_points, with_regions
from elite.viewer.layers import Cloud, counts, shown
from elite.viewer.panel import Choice, Panel
from elite.viewer.shelf import Shelf, Shown
from elite.viewer.source import Scene
from elite.viewer.stage import Stage

WORST = 10  # frames in the list
_NOTHING = -1, np.zeros((0, 3), np.float32), np.zeros(0, np.int64)


class Painter:
    """``drawn`` is (frame, its points that are drawn, which rows of the cloud these are)."""

    def __init__(self, stage: Stage, panel: Panel, shelf: Shelf) -> None:
        self.stage, self.panel, self.shelf = stage, panel, shelf
        self.drawn = _NOTHING
        self._drawn: dict[str, tuple[Hashable, ...]] = {}

    def paint(self, now: Shown, choice: Choice) -> None:
        look = style(dark=choice.dark, safe=choice.safe)
        looks = (choice.dark, choice.safe)
        self._once("ground", looks, lambda: self._ground(choice, look))
        mode = choice.mode if now.cloud is None or not missing(now.cloud, choice.mode) else Mode.HEIGHT
        if now.cloud is not None or now.complete:  # else what was there stays until the next frame is read
            self._frame(now, replace(choice, mode=mode), look, looks)
        self._status(now, choice)

    def _frame(self, now: Shown, choice: Choice, look: Style, looks: tuple[bool, bool]) -> None:
        mode = choice.mode
        colored = (now, mode, choice.class_id, choice.hidden, *looks)
        self._once("cloud", (*colored, choice.size), lambda: self._cloud(now.cloud, choice, look))
        self._once("legend", (now, mode, *looks), lambda: self._legend(now.cloud, mode, look))
        self._once("cameras", (now.scene, choice.cameras, *looks), lambda: self._cameras(now.scene, choice, look))
        self._once("point", (now, choice.picked, *looks), lambda: self._point(now, choice, look))
        self._picture(now, choice, look, colored)
        self._map(choice, look, (mode, choice.class_id, choice.hidden, *looks, choice.size))
        self._worst(choice)

    def _once(self, part: str, key: tuple[Hashable, ...], draw: Callable[[], None]) -> None:
        """Draw a part unless it stands there already."""
        if self._drawn.get(part) != key:
            draw()
            self._drawn[part] = key

    def _ground(self, choice: Choice, look: Style) -> None:
        self.panel.server.gui.configure_theme(
            dark_mode=choice.dark, show_logo=False, show_share_button=False, brand_color=(47, 111, 222)
        )
        self.panel.paint_legend(look)

    def _status(self, now: Shown, choice: Choice) -> None:
        ids = self.shelf.source.ids
        if not ids:
            content = text.status("Waiting for the first scan", None)
        else:
            title = "/".join(ids[choice.index])
            note = now.fault
            if not note and now.cloud is not None:
                waits = not now.complete and self.shelf.source.answers
                note = "being labelled ..." if waits else missing(now.cloud, choice.mode) or self._progress(choice)
            content = text.status(title, now.cloud, note or ("" if now.complete or now.cloud else "being read ..."))
        self._once("status", (content,), lambda: setattr(self.panel.status, "content", content))

    def _cloud(self, cloud: Cloud | None, choice: Choice, look: Style) -> None:
        if cloud is None:
            self.drawn = _NOTHING
            self.stage.show_cloud(_NOTHING[1], np.zeros((0, 3), np.uint8), size=choice.size)
            return
        colors, drawn = _colors(cloud, choice, look)
        self.drawn = choice.index, cloud.points[drawn], np.flatnonzero(drawn)
        self.stage.show_cloud(self.drawn[1], colors[drawn], size=choice.size)

    def _legend(self, cloud: Cloud | None, mode: Mode, look: Style) -> None:
        if cloud is None:
            return
        labels = classes_of(cloud, mode)
        points = counts(labels)
        found = cloud.score
        self.panel.legend_head.content = text.legend_head(cloud, mode, look)
        self.panel.class_name.visible = mode is Mode.PROBABILITY
        for i, box in self.panel.classes:
            there = labels is not None and bool(points[i] or (found is not None and i in found.present))
            if box.visible != there:
                box.visible = there
            if there and box.label != (label := text.legend_label(i, cloud, points)):
                box.label = label

    def _cameras(self, scene: Scene | None, choice: Choice, look: Style) -> None:
        images = scene.frame.images if scene is not None and choice.cameras else {}
        cameras = {camera.name: camera for camera in scene.frame.cameras} if scene is not None else {}
        self.stage.show_cameras(cameras, images, look)

    def _point(self, now: Shown, choice: Choice, look: Style) -> None:
        cloud, (frame, i) = now.cloud, choice.picked or (-1, 0)
        if cloud is None or now.scene is None or frame != choice.index:
            self.stage.mark(None, look)
            self.panel.point.content = text.plain("Click a point to read what is known of it.")
            return
        self.stage.mark(cloud.points[i], look)
        pixels = {
            camera: tuple(pairs.pixel[pairs.point == i][0].tolist())
            for camera, pairs in now.scene.pairs.items()
            if (pairs.point == i).any()
        }
        self.panel.point.content = text.picked(cloud, i, self._raw_label(choice.index, i), pixels)

    def _raw_label(self, frame: int, point: int) -> int | None:
        try:
            return self.shelf.source.raw_label(frame, point)
        except DataError:  # the file has changed since the frame was read, which had its labels
            return None

    def _picture(self, now: Shown, choice: Choice, look: Style, colored: tuple[Hashable, ...]) -> None:
        if not choice.camera:
            return
        there = now.scene is not None and choice.camera in now.scene.frame.images
        asked = choice.picture == Picture.TEACHER and there
        taught = self.shelf.taught(choice.index, choice.camera) if asked else None
        key = (*colored, choice.camera, choice.picture, taught)

        def draw() -> None:
            if not asked:
                self.panel.show_image(*_picture(now, choice, look))
            elif taught is None:
                self.panel.show_image(None, "The teacher is being asked ...")
            elif taught.value is None:
                self.panel.show_image(None, taught.fault)
            else:
                self.panel.show_image(
                    with_labels(taught.value.image, taught.value.labels, look, choice.hidden),
                    "What the teacher says of each pixel, in the part of the image that it sees.",
                )

        self._once("picture", key, draw)

    def _map(self, choice: Choice, look: Style, key: tuple[Hashable, ...]) -> None:
        if not choice.map or not self.shelf.source.ids:
            self._once("map", (), lambda: self._show_map(None, choice, look))
            return
        street = self.shelf.street(self.shelf.source.ids[choice.index][0])
        note = "The map is being put together ..." if street is None else street.fault
        if street is not None and street.value is not None and missing(street.value.cloud, choice.mode):
            note = "The map shows the truth, or heights where there is none: it is made from files, not by a network."
        self._once("map note", (note,), lambda: setattr(self.panel.map_note, "content", text.plain(note)))
        if street is None or street.value is None:
            return
        value = street.value
        T_velo_street = np.linalg.inv(value.poses[choice.index])
        self._once("map place", (street, choice.index), lambda: self.stage.place_map(T_velo_street))
        self._once("map", (street, *key), lambda: self._show_map(value.cloud, choice, look))

    def _show_map(self, cloud: Cloud | None, choice: Choice, look: Style) -> None:
        if cloud is None:
            self.stage.show_map(_NOTHING[1], np.zeros((0, 3), np.uint8), size=choice.size)
            return
        fitting = choice if not missing(cloud, choice.mode) else replace(choice, mode=Mode.TRUTH)
        colors, drawn = _colors(cloud, fitting, look)
        self.stage.show_map(cloud.points[drawn], colors[drawn], size=1.5 * choice.size)

    def _progress(self, choice: Choice) -> str:
        """How far the search for the worst frames is; empty if there is none."""
        if not choice.ranking:
            return ""
        _, done, of = self.shelf.ranking()
        return "" if done == of else f"{done} of {of} frames scored ..."

    def _worst(self, choice: Choice) -> None:
        if not choice.ranking:
            return
        ranked, done, of = self.shelf.ranking()
        rows = [("/".join(self.shelf.source.ids[i]), s.miou_present, s.accuracy) for i, s in ranked[:WORST]]
        content = text.worst(rows, done, of)
        self._once("worst", (content,), lambda: setattr(self.panel.worst, "content", content))


def _colors(cloud: Cloud, choice: Choice, look: Style) -> tuple[UInt8[np.ndarray, "n 3"], Bool[np.ndarray, "n"]]:
    """Colours of all points, by height where the cloud lacks what was chosen; and which of them are drawn."""
    colors, mode = point_colors(cloud, choice.mode, look, choice.class_id), choice.mode
    if colors is None:
        mode = Mode.HEIGHT
        colors = point_colors(cloud, mode, look, choice.class_id)
    assert colors is not None
    return colors, shown(classes_of(cloud, mode), choice.hidden, len(cloud))


def _picture(now: Shown, choice: Choice, look: Style) -> tuple[UInt8[np.ndarray, "h w 3"] | None, str]:
    """The image that was chosen, or None and a word on what is missing."""
    scene, cloud, camera = now.scene, now.cloud, choice.camera
    if scene is None and now.fault:
        return None, now.fault
    if scene is None or cloud is None or camera not in scene.frame.images:
        others = ", ".join(scene.frame.images) if scene is not None else ""
        return None, f"This frame has no image of {camera}" + (f", but of {others}." if others else ".")
    image = scene.frame.images[camera]
    if choice.picture == Picture.POINTS:
        return with_points(image, scene.pairs[camera], *_colors(cloud, choice, look)), ""
    folder = choice.picture.removeprefix(REGIONS)
    if choice.picture == Picture.IMAGE:
        return image, ""
    if folder not in scene.dense:
        return None, f"This frame has no labels in {folder}; 'elite pseudo-label' makes them."
    if choice.picture.startswith(REGIONS):
        return with_regions(image, scene.regions[folder]), ""
    return with_labels(image, scene.dense[folder], look, choice.hidden), ""
