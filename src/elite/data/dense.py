"""Dense image labels: a semantic and an instance PNG per image, 16-bit grey, raw ids, 0 = unknown or sky."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import UInt16
from PIL import Image

from elite.errors import DataError
from elite.files import open_image, write_bytes
from elite.layout import Layout


def write_dense(
    layout: Layout,
    sequence: str,
    name: str,
    folder: str,
    *,
    semantic: UInt16[np.ndarray, "h w"],
    instance: UInt16[np.ndarray, "h w"],
) -> None:
    """Write both maps of one image, each atomically. ``folder`` such as image_2_labels."""
    for kind, ids in (("semantic", semantic), ("instance", instance)):
        write_bytes(layout.dense_labels(sequence, name, folder, kind), encode_ids(ids))


def read_dense(
    layout: Layout, sequence: str, name: str, folder: str
) -> tuple[UInt16[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]:
    """(semantic, instance) of one image.

    Raises:
        DataError: a file is missing, damaged, not 16-bit grey, or the two differ in size.
    """
    semantic, instance = (
        _decode(layout.dense_labels(sequence, name, folder, kind)) for kind in ("semantic", "instance")
    )
    if semantic.shape != instance.shape:
        raise DataError(
            f"dense labels of {sequence}/{name} in {folder} differ in size: semantic {semantic.shape}, "
            f"instance {instance.shape}; make both again."
        )
    return semantic, instance


def encode_ids(ids: UInt16[np.ndarray, "h w"]) -> bytes:
    """One map as the bytes of a 16-bit PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(ids, dtype=np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def _decode(path: Path) -> UInt16[np.ndarray, "h w"]:
    with open_image(path, "PNG", remedy="make the dense labels again") as image:
        mode, ids = image.mode, np.array(image)
    if not mode.startswith("I;16"):
        raise DataError(f"{path} has pixel mode {mode}, expected 16-bit grey (I;16); make the dense labels again.")
    return ids.astype(np.uint16)
