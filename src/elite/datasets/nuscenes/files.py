"""Readers of nuScenes' files of labels: lidarseg and panoptic."""

import io
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from elite.datasets.formats import read_part, unreadable
from elite.errors import DataError
from elite.files import SCAN_BYTES, open_regular
from elite.shapes import UInt8, UInt16

_DAMAGED = (
    *(ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error),
    *(SyntaxError, tokenize.TokenError, UserWarning),  # of the header of an array; warnings that are errors
)
_REMEDY = "Extract the archive of nuScenes that contains it."
_HEADER = 2**12  # limit of the bytes before the numbers of an array
_INSTANCES = 1000  # a panoptic label is 1000 * category + instance


def read_lidarseg(path: Path, points: int) -> UInt8[np.ndarray, "n"]:
    """Read the category of each of the ``points`` of a scan.

    Raises:
        DataError: missing, or another number of labels.
    """
    data = read_part(path, "labels", SCAN_BYTES, remedy=_REMEDY)
    if len(data) != points:
        size = f" ({len(data) / points:g} bytes a point)" if points and len(data) % points == 0 else ""
        raise DataError(
            f"{path}: expected {points} labels, one byte for each point of the scan, found {len(data)} bytes{size}. "
            "Extract the file again; labels of 4 bytes need a conversion to uint8."
        )
    return np.frombuffer(data, np.uint8)


def read_panoptic(path: Path, points: int) -> UInt16[np.ndarray, "n"]:
    """Read the panoptic label of each of the ``points`` of a scan: 1000 * category + instance.

    Raises:
        DataError: missing, damaged, or another number of labels.
    """
    try:
        with open_regular(path, SCAN_BYTES) as file, zipfile.ZipFile(file) as archive:
            info = archive.getinfo("data.npy")
            if info.file_size > 2 * points + _HEADER:
                raise ValueError(f"{info.file_size} bytes")
            with archive.open(info) as member:
                labels = _uint16(io.BytesIO(member.read(2 * points + _HEADER + 1)), points)
    except OSError as error:
        raise unreadable(path, "panoptic labels", error, remedy=_REMEDY) from error
    except _DAMAGED as error:
        raise DataError(
            f"{path}: expected an npz file with {points} uint16 labels in 'data', one for each point of the scan, "
            f"found {str(error)[:120]}. Extract the file again."
        ) from error
    return labels


def _uint16(file: io.BytesIO, points: int) -> UInt16[np.ndarray, "n"]:
    """Parse an array. Its header is checked before numbers are read, since it may claim any size.

    Raises:
        ValueError: another type or shape.
    """
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if shape != (points,) or dtype != np.uint16:
        raise ValueError(f"{dtype} numbers of shape {shape}")
    data = file.read()
    if len(data) != 2 * points:
        raise ValueError(f"{len(data)} bytes of numbers")
    return np.frombuffer(data, dtype)


def instances_of(panoptic: UInt16[np.ndarray, "n"]) -> UInt16[np.ndarray, "n"]:
    """Number the objects of a panoptic scan; 0 = none.

    Instances count from 1 in each category, so that an adult and a child can have the same number. Therefore the number
    of an object is its whole label.
    """
    return np.where(panoptic % _INSTANCES > 0, panoptic, 0).astype(np.uint16)
