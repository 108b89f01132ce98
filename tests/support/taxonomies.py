"""Taxonomies other than SemanticKITTI's."""

from elite.taxonomy import ClassSpec, Taxonomy

# Everything differs from SemanticKITTI: the number of classes, ids (0 is not ignored), names that pages and charts
# could misread, a class without a colour, and one with a safe colour.
FIVE = Taxonomy(
    "five",
    (
        ClassSpec("nothing", (9,)),
        ClassSpec("tram & <b>", (300, 2), (255, 160, 40), (90, 170, 255), thing=True),
        ClassSpec("$x_1$", (0,), (90, 220, 160)),
        ClassSpec("track", (40,), (230, 90, 200), ground=True),
        ClassSpec("_mast with a rather long name", (5,)),
        ClassSpec("platform", (7,), (200, 60, 60), ground=True),
    ),
)
