"""The page: one self-contained HTML file, made from templates that escape every value, with embedded images."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median_high

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from elite.formatting import count, hex_color, percent
from elite.pictures import CORRECT, UNSCORED, WRONG, EncodedImage, palette
from elite.report.headline import key_figures
from elite.report.matrix_charts import CLASSES_PER_CHART, confusion_scale
from elite.report.run import Run
from elite.taxonomy import IGNORE, Taxonomy

_ERRORS = {"correct": CORRECT, "wrong": WRONG, "no label, not scored": UNSCORED}


@dataclass(frozen=True)
class Figure:
    """An image with its title and caption; ``name`` is that of its file, without the suffix."""

    name: str
    title: str
    caption: str
    image: EncodedImage
    value: str = ""


@dataclass(frozen=True)
class FrameFigures:
    """Views of one frame from above, and on its camera image (none if it has no image).

    Attributes:
        is_wide: camera images are at least twice as wide as high; others are shown side by side.
    """

    id: str
    summary: str
    above: Sequence[Figure]
    camera: Sequence[Figure] = ()
    is_wide: bool = True


@dataclass(frozen=True)
class TeacherFigures:
    """Teacher and student on one camera image; ``classes`` are the train ids in the figures."""

    id: str
    camera: str
    summary: str
    figures: Sequence[Figure]
    classes: Sequence[int] = ()


@dataclass(frozen=True)
class PageImages:
    """All images of a page.

    Attributes:
        taxonomy: classes in the images.
        charts: by name, see ``charts.draw_charts``.
        frames, teacher: figures of frames, and of the teacher.
        no_frames, no_teacher: reason why there are none.
        are_worst: the frames are those with the lowest mean IoU.
    """

    taxonomy: Taxonomy
    charts: Mapping[str, EncodedImage] = field(default_factory=dict)
    frames: Sequence[FrameFigures] = ()
    no_frames: str = ""
    teacher: Sequence[TeacherFigures] = ()
    no_teacher: str = ""
    are_worst: bool = False

    def files(self) -> dict[str, EncodedImage]:
        """Every image by its file name."""
        figures = [figure for frame in self.frames for figure in (*frame.above, *frame.camera)]
        figures += [figure for frame in self.teacher for figure in frame.figures]
        named = {**self.charts, **{figure.name: figure.image for figure in figures}}
        return {name + image.suffix: image for name, image in named.items()}


@dataclass(frozen=True)
class Section:
    """A section of the page: ``key`` names its template and its anchor."""

    key: str
    title: str


def render(run: Run, images: PageImages | None = None) -> str:
    """Return the HTML text of the page."""
    images = images or PageImages(run.taxonomy)
    page = _environment().get_template("page.html")
    return page.render(
        run=run,
        key_figures=key_figures(run),
        images=images,
        charts=images.charts,
        sections=_sections(run, images),
        classes=[*zip(images.taxonomy.names, map(hex_color, palette(images.taxonomy)), strict=True)],
        ignored=IGNORE,
        confusion_limit=CLASSES_PER_CHART,
        confusion_scale=confusion_scale,
        errors=[(name, hex_color(color)) for name, color in _ERRORS.items()],
    )


def _sections(run: Run, images: PageImages) -> list[Section]:
    sections = (
        (not run.is_evaluation, Section("training", "Training")),
        (bool(run.teacher), Section("teacher", "Teacher and student")),
        (True, Section("classes", "IoU by class and distance")),
        (True, Section("confusion", "Confusion matrix")),
        (True, Section("calibration", "Calibration")),
        (True, Section("frames", "Worst frames" if images.are_worst else "Frames")),
        (run.pseudo_labels is not None, Section("pseudo_labels", "Pseudo-labels")),
        ("scans/s" in run.curves.columns or run.latency is not None, Section("speed", "Speed")),
        (True, Section("setup", "Setup")),
    )
    return [section for is_present, section in sections if is_present]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("elite.report"),
        extensions=["jinja2.ext.do"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "count": count, "median": median_high}
    environment.globals["image"] = _image
    return environment


def _image(image: EncodedImage, alt: str, style: str = "") -> Markup:
    width, height = Image.open(io.BytesIO(image.data)).size
    source = f"data:image/{image.format};base64,{base64.b64encode(image.data).decode()}"
    more = Markup(' style="{}"').format(style) if style else Markup()
    return Markup('<img src="{}" width="{}" height="{}" alt="{}"{}>').format(source, width, height, alt, more)
