"""Files of points in all formats: contents built by hand, and by other writers."""

import io
import re
import struct
from pathlib import Path

import laspy
import lzf
import numpy as np
import pytest

from elite.errors import DataError
from elite.point_files import SUFFIXES, PointFields, decode_points, encode_points, fields_of, read_point_file

XYZ = np.array([[1.5, -2.25, 0.125], [np.nan, 0, 0], [40, 3, -1.75]], np.float32)
INTENSITY = np.array([7, 0, 4000], np.uint16)
COLUMNS = ("x", "y", "z", "remission")
_HEADER = (
    "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z intensity\nSIZE 4 4 4 2\nTYPE F F F U\nCOUNT 1 1 1 1\nWIDTH {width}\n"
    "HEIGHT {height}\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 3\nDATA {data}\n"
)


def _records() -> np.ndarray:
    fields = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<u2")]
    return np.array([(*xyz, i) for xyz, i in zip(XYZ, INTENSITY, strict=True)], fields)


def _pcd(data: str) -> bytes:
    records = _records()
    header = _HEADER.format(width=3, height=1, data=data).encode()
    if data == "ascii":
        return header + "".join(f"{r['x']:g} {r['y']:g} {r['z']:g} {r['intensity']}\n" for r in records).encode()
    if data == "binary":
        return header + records.tobytes()
    planes = b"".join(records[name].tobytes() for name in records.dtype.names or ()) + bytes(200)  # compressible
    packed = lzf.compress(planes)
    return header + struct.pack("<II", len(packed), len(planes)) + packed


def _ply(is_text: bool) -> bytes:
    kind = "ascii" if is_text else "binary_little_endian"
    header = f"ply\nformat {kind} 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    header += "property ushort intensity\nend_header\n"
    text = "".join(f"{r['x']:g} {r['y']:g} {r['z']:g} {r['intensity']}\n" for r in _records())
    return header.encode() + (text.encode() if is_text else _records().tobytes())


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **{name: _records()[name] for name in _records().dtype.names or ()})
    return file.getvalue()


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


FILES = {
    "structured.npy": _npy(_records()),
    "fields.npz": _npz(),
    "text.pcd": _pcd("ascii"),
    "binary.pcd": _pcd("binary"),
    "compressed.PCD": _pcd("binary_compressed"),
    "text.ply": _ply(True),
    "binary.ply": _ply(False),
}


@pytest.mark.parametrize("name", FILES)
def test_decode_points_returns_the_named_fields_of_the_file(name: str) -> None:
    points = decode_points(FILES[name], Path(name), COLUMNS)
    np.testing.assert_array_equal(np.stack([points.values[axis] for axis in "xyz"], 1), XYZ)
    np.testing.assert_array_equal(points.values["intensity"], INTENSITY)
    assert points.shape == (3,)
    assert points.find(("remission", "Intensity")) == "intensity"


def test_decode_points_of_unnamed_numbers_takes_the_columns(tmp_path: Path) -> None:
    rows = np.concatenate([XYZ, INTENSITY[:, None]], axis=1).astype(np.float32)
    (tmp_path / "a.bin").write_bytes(rows.tobytes())
    np.save(tmp_path / "a.npy", rows.astype(np.float64))
    np.save(tmp_path / "organised.npy", np.stack([rows, rows]))
    for name, shape in (("a.bin", (3,)), ("a.npy", (3,)), ("organised.npy", (2, 3))):
        points = read_point_file(tmp_path / name, COLUMNS)
        assert points.shape == shape
        np.testing.assert_array_equal(points.values["remission"], np.tile(INTENSITY, len(points) // 3))


@pytest.mark.parametrize("compressed", [False, True])
def test_decode_points_of_las_keeps_the_digits_of_map_coordinates(compressed: bool) -> None:
    las = laspy.create(point_format=0)
    las.header.scales, las.header.offsets = [0.001] * 3, [4_500_000.0] * 3
    las.x, las.y, las.z = (np.array([4_500_000.123, 4_500_012.5]) for _ in "xyz")
    las.intensity, las.classification = [3, 65535], [2, 6]
    file = io.BytesIO()
    las.write(file, do_compress=compressed, laz_backend=laspy.LazBackend.Lazrs if compressed else None)
    points = decode_points(file.getvalue(), Path("a.laz" if compressed else "a.las"), COLUMNS)
    np.testing.assert_allclose(points.values["x"], [4_500_000.123, 4_500_012.5], atol=1e-6)
    assert points.values["intensity"].tolist() == [3, 65535]
    assert points.values["classification"].tolist() == [2, 6]


@pytest.mark.parametrize("suffix", [".npy", ".pcd", ".ply"])
def test_encode_points_round_trips_types_and_numbers(suffix: str) -> None:
    written = PointFields({n: _records()[n] for n in _records().dtype.names or ()} | {"label": INTENSITY}, (3,))
    read = decode_points(encode_points(written, suffix), Path(f"a{suffix}"), COLUMNS)
    assert {n: v.dtype for n, v in read.values.items()} == {n: v.dtype for n, v in written.values.items()}
    for name, values in written.values.items():
        np.testing.assert_array_equal(read.values[name], values)


def test_encode_points_keeps_the_rows_of_an_organised_cloud() -> None:
    written = PointFields({"x": np.arange(6, dtype=np.float32)}, (2, 3))
    for suffix in (".npy", ".pcd"):
        assert decode_points(encode_points(written, suffix), Path(f"a{suffix}"), COLUMNS).shape == (2, 3)


@pytest.mark.parametrize("name", [*FILES, "a.bin", "a.las"])
def test_decode_points_of_a_truncated_file_is_named(name: str) -> None:
    data = FILES.get(name, bytes(1001))
    with pytest.raises(DataError, match=rf"^{name}: expected a \.\w+ file of points, found .+ Copy the file again"):
        decode_points(data[: len(data) * 2 // 3], Path(name), COLUMNS)


def test_decode_points_with_a_false_count_is_refused() -> None:
    claims = _pcd("binary").replace(b"POINTS 3", b"POINTS 9000000000000").replace(b"WIDTH 3", b"WIDTH 9000000000000")
    with pytest.raises(DataError, match="found a"):
        decode_points(claims, Path("a.pcd"), COLUMNS)


def test_decode_points_of_pcd_with_a_false_count_of_numbers_is_refused() -> None:
    claims = re.sub(rb"COUNT 1 1 1", b"COUNT 1 1 2000000", _pcd("binary"))
    with pytest.raises(DataError, match=r"found a header that claims 200000\d numbers per point"):
        decode_points(claims, Path("a.pcd"), COLUMNS)


def _las(point_format: int, points: int = 0, *, compressed: bool) -> bytearray:
    las = laspy.create(point_format=point_format)
    las.add_extra_dim(laspy.ExtraBytesParams("range", np.uint32))
    las.x = las.y = las.z = np.random.default_rng(0).normal(0, 9, points)
    las["range"] = np.arange(points, dtype=np.uint32)
    file = io.BytesIO()
    las.write(file, do_compress=compressed, laz_backend=laspy.LazBackend.Lazrs if compressed else None)
    return bytearray(file.getvalue())


@pytest.mark.parametrize("point_format", [0, 3, 6, 7, 8])
def test_decode_points_of_laz_in_chunks_has_all_points(point_format: int) -> None:
    """A chunk has 50,000 points."""
    points = decode_points(bytes(_las(point_format, 120_000, compressed=True)), Path("a.laz"), COLUMNS)
    np.testing.assert_array_equal(points.values["range"], np.arange(120_000))


@pytest.mark.parametrize(("point_format", "position"), [(0, 100), (6, 100), (6, 243)])
def test_decode_points_of_las_with_a_false_count_of_records_is_refused(point_format: int, position: int) -> None:
    """Reading these records would take minutes."""
    data = _las(point_format, compressed=False)
    data[position : position + 4] = struct.pack("<I", 2_000_000)
    with pytest.raises(DataError, match=rf"claims 200000\d records in {len(data)} bytes"):
        decode_points(bytes(data), Path("a.las"), COLUMNS)
    with pytest.raises(DataError, match="no header of one"):
        decode_points(bytes(data[:235]) if data[25] >= 4 else bytes(data[:200]), Path("a.las"), COLUMNS)


@pytest.mark.parametrize("layer", range(13))
def test_decode_points_of_laz_with_a_false_size_of_a_layer_is_refused(layer: int) -> None:
    """lazrs would allocate 4 GB."""
    data = _las(6, 40, compressed=True)
    size, start = struct.unpack_from("<H", data, 105)[0], struct.unpack_from("<I", data, 96)[0]
    struct.pack_into("<I", data, start + 8 + size + 4 + 4 * layer, 2**32 - 1)
    with pytest.raises(DataError, match=r"a chunk of points that ends at byte 4\d{9}, after the table"):
        decode_points(bytes(data), Path("a.laz"), COLUMNS)


def test_decode_points_of_laz_with_false_sizes_of_points_is_refused() -> None:
    data = _las(6, 40, compressed=True)
    items = bytes(data).index(b"laszip encoded") + 52 + 34  # the record's contents begin after 52 bytes
    struct.pack_into("<HHH", data, items, 10, 65535, 3)
    with pytest.raises(DataError, match="compressed points of another size than 34 bytes"):
        decode_points(bytes(data), Path("a.laz"), COLUMNS)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((4, 3)), r"float64 of shape \(4, 3\)"),
        (np.zeros(8), r"float64 of shape \(8,\)"),
        (np.array(["a"]), "<U1"),
        (np.zeros(2, [("x", "f4", 3)]), "one number per point in each field, found"),
    ],
)
def test_fields_of_other_arrays_are_refused(array: np.ndarray, found: str) -> None:
    with pytest.raises(DataError, match=found):
        fields_of(array, COLUMNS)


def test_decode_points_of_another_format_names_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"\.bin, \.npy, \.npz, \.pcd, \.ply, \.las, \.laz, found '\.csv'"):
        decode_points(b"", Path("a.csv"), COLUMNS)
    assert ".csv" not in SUFFIXES
