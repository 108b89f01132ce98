"""Files of torch.save: exact content, no imports, no execution, checked sizes."""

import collections
import errno
import io
import os
import pickle
import resource
import struct
import sys
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elite.errors import CheckpointError
from elite.weights.inert_pickle import Foreign
from elite.weights.lazy_tensors import LazyTensors, Storage
from elite.weights.torch_file import check_numbers, is_state_dict, load_torch, open_torch
from tests.support.torch_files import DTYPES, NEW_DTYPES, ListConfig, Ratio, other_code, plain_content, published_bytes


def write(path: Path, value: object, **settings: Any) -> Path:
    torch.save(value, path, **settings)
    return path


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


# ---- what was saved comes back --------------------------------------------------------------------------------


def assert_same(a: Any, b: Any) -> None:
    if isinstance(a, Tensor):
        assert (a.dtype, a.shape, a.stride()) == (b.dtype, b.shape, b.stride())
        first, second = (value.reshape(-1).clone().contiguous().view(torch.uint8) for value in (a, b))
        assert torch.equal(first, second)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple) and not isinstance(a, torch.Size):
        assert type(a) is type(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


@pytest.mark.parametrize("packed", [True, False], ids=["archive", "stream"])
def test_load_torch_of_plain_content_returns_what_torch_load_does(packed: bool, tmp_path: Path) -> None:
    content = plain_content(DTYPES + NEW_DTYPES if packed else DTYPES)
    path = write(tmp_path / "a.pt", content, _use_new_zipfile_serialization=packed)
    loaded = load_torch(path)
    assert_same(loaded, torch.load(path, weights_only=True))
    loaded["views"]["base"].zero_()
    assert not loaded["views"]["row"].any()  # one storage, as it was


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_load_torch_reads_every_pickle_protocol(protocol: int, tmp_path: Path) -> None:
    content = {"a": torch.ones(2), "b": b"bytes", "c": "x" * 300, "d": list(range(300)), 4: (1, 2, 3, 4)}
    assert_same(load_torch(write(tmp_path / "a.pt", content, pickle_protocol=protocol)), content)


def test_load_torch_reads_parameters_and_tensors_with_attributes(tmp_path: Path) -> None:
    marked = torch.ones(3)
    marked.note = "attribute"  # type: ignore[attr-defined]
    content = {"a": torch.nn.Parameter(torch.ones(2)), "b": marked}
    loaded = load_torch(write(tmp_path / "a.pt", content))
    assert loaded["a"].tolist() == [1, 1]
    assert loaded["b"].tolist() == [1, 1, 1]


def test_open_torch_reads_no_numbers_until_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pt", {"model": {"a": torch.ones(3)}, "optimizer": torch.zeros(10**7)})
    with memory_below(2**20), open_torch(path) as file:
        assert file.content["optimizer"].shape == (10**7,)
        assert file.content["model"]["a"].is_meta
        assert file.read(file.content["model"])["a"].tolist() == [1, 1, 1]


# ---- objects of other code ------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("packed", [True, False], ids=["archive", "stream"])
def test_open_torch_of_training_state_reads_tensors_and_names_the_rest(
    packed: bool, protocol: int, tmp_path: Path
) -> None:
    path = tmp_path / "published.ckpt"
    path.write_bytes(published_bytes({"w": torch.arange(3.0)}, packed=packed, protocol=protocol))
    with open_torch(path) as file:
        assert is_state_dict(file.content["state_dict"])
        assert file.read(file.content["state_dict"])["w"].tolist() == [0, 1, 2]
        assert file.content["epoch"] == 63
        assert isinstance(file.content["hyper_parameters"], Foreign)
        (key,) = file.content["callbacks"]
        assert key.name == "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"
    expected = {key.name, "easydict.EasyDict", "argparse.Namespace", "numpy.dtype", "collections.Counter"}
    assert expected <= set(file.foreign)
    with pytest.raises(CheckpointError, match=r"plain values only, found objects of .*ModelCheckpoint"):
        load_torch(path)


def test_open_torch_accepts_every_way_an_object_is_pickled(tmp_path: Path) -> None:
    class Slots:
        __slots__ = ("a",)

    class Chain(list):
        """A list with a state."""

    slots, chain = Slots(), Chain([1, 2])
    slots.a = 1
    chain.note = {"a": 1}  # type: ignore[attr-defined]
    objects = [slots, chain, ListConfig([1]), Ratio(), collections.defaultdict(dict, a=1), {1}, frozenset({2})]
    objects += [bytearray(b"a"), complex(1, 2), range(3), slice(1), np.ones(3), torch.device("cpu"), Slots]
    objects += [torch.ones(2).to_sparse(), torch.ones(2, device="meta")]
    content = {"objects": objects, (1, 2): 3, "w": torch.ones(1)}
    with other_code(x__Slots=Slots, x__y__Chain=Chain):
        paths = [write(tmp_path / f"{n}.pt", content, pickle_protocol=n) for n in (2, 4, 5)]
    for path in paths:
        with open_torch(path) as file:
            assert len(file.content["objects"]) == len(objects)
            assert file.read({"w": file.content["w"]})["w"].tolist() == [1]
            assert {"x.Slots", "x.y.Chain", "builtins.tuple (as a key)"} <= set(file.foreign)


def test_open_torch_imports_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trap.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\nclass Trap: pass\n")

    class Trap:
        pass

    with other_code(trap__Trap=Trap):
        path = write(tmp_path / "a.pt", {"a": Trap(), Trap: 1})
    monkeypatch.syspath_prepend(tmp_path)
    with open_torch(path) as file:
        assert file.foreign == ("trap.Trap",)
    assert "trap" not in sys.modules
    assert not (tmp_path / "mark").exists()


# ---- no size is believed --------------------------------------------------------------------------------------


def rewritten(path: Path, change: Callable[[zipfile.ZipInfo, bytes], bytes], compress: str = "") -> Path:
    """The archive with other members; the one whose name ends with ``compress`` is compressed."""
    with zipfile.ZipFile(path) as archive:
        members = [(member, change(member, archive.read(member))) for member in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members:
            packed = compress and member.filename.endswith(compress)
            archive.writestr(member.filename, content, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    return path


@pytest.mark.parametrize("member", ["data/0", "data.pkl"])
def test_open_torch_of_a_compressed_member_is_refused_before_it_is_unpacked(member: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.pt", {"a": torch.ones(3)})
    rewritten(path, lambda found, data: bytes(2 * 10**7) if found.filename.endswith(member) else data, member)
    assert path.stat().st_size < 10**6
    with memory_below(2**21), pytest.raises(CheckpointError, match=rf"compressed member 'a/{member}'\. Load it"):
        load_torch(path)


def claim(path: Path, name: bytes, size: int) -> None:
    """Let the directory of an archive claim that a stored member has another size."""
    data = bytearray(path.read_bytes())
    at = data.rindex(name) - 46  # its entry in the directory at the end
    assert data[at : at + 4] == b"PK\1\2"
    struct.pack_into("<II", data, at + 20, size, size)
    path.write_bytes(data)


def test_open_torch_of_members_larger_than_the_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pt", {"a": torch.ones(3)})
    claim(path, b"a/data/0", 2**31)
    with memory_below(2**21), pytest.raises(CheckpointError, match=r"its own [\d,]+ bytes, found members of 2,147,4"):
        load_torch(path)


def test_open_torch_of_a_stream_larger_than_the_file_is_refused(tmp_path: Path) -> None:
    """The older format stores the number count in its pickle, and again before the numbers."""
    path = write(tmp_path / "a.pt", {"a": torch.zeros(7001)}, _use_new_zipfile_serialization=False)
    claimed = path.read_bytes().replace(struct.pack("<H", 7001), struct.pack("<H", 65535))
    path.write_bytes(claimed.replace(struct.pack("<Q", 7001), struct.pack("<Q", 65535)))
    with memory_below(2**21), pytest.raises(CheckpointError, match=r"65535 numbers of torch\.float32"):
        load_torch(path)


def ops(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


def text(size: int) -> bytes:
    return b"X" + struct.pack("<I", size) + b"a" * size


def nested_tuple(depth: int) -> bytes:
    """A tuple of two of the same tuple, and so on: its hash, written out or copied, takes 2^depth steps."""
    return b")" + b"".join(b"q\0h\0\x86" for _ in range(depth))


PICKLES = {
    "a key that is hashed for ever": ops(b"}", nested_tuple(60), b"Ns"),
    "a key too deep to be hashed": ops(b"}", b")", b"\x85" * 100_000, b"Ns"),
    "a name that is written for ever": ops(b"}X\1\0\0\0a", nested_tuple(60), b"X\1\0\0\0b\x93s"),
    "a storage whose key is written for ever": ops(b"}X\1\0\0\0a(X\7\0\0\0storage", nested_tuple(60), b"NNNtQs"),
    "values that grow without end": ops(b"}X\1\0\0\0a", nested_tuple(60), b"s"),
    "a list that contains itself": ops(b"}X\1\0\0\0a", b"]q\0h\0a", b"s"),
    "a list too deep": ops(b"}X\1\0\0\0a", b"]" * 100_000 + b"a" * 99_999, b"s"),
    "a place far away in the memo": ops(b"}r\xff\xff\xff\x7f", b"r\xff\xff\xff\xff"),
    "a text that is not there": ops(b"}X\xff\xff\xff\x7fab"),
    "bytes that are not there": b"\x80\x04}\x8e" + struct.pack("<Q", 2**62) + b"ab.",
    "long bytes made many times": ops(
        b"c_codecs\nencode\nq\0", text(10**6), b"q\1X\6\0\0\0latin1\x86q\2", b"h\0h\2R" * 1000, b"}"
    ),
    "a long name used many times": ops(text(10**6), b"q\1", b"h\1h\1\x93" * 1000, b"}"),
    "long keys compared many times": ops(text(10**6), b"q\1", text(10**6), b"q\2}", b"h\1Nsh\2Ns" * 1000),
    "long arguments of many calls": ops(
        b"ctorch._utils\n_rebuild_parameter\nq\0(", b"N" * 10**5, b"tq\1", b"h\0h\1R" * 1000, b"}"
    ),
    "an opcode that calls": ops(b"}", b"(cos\nsystem\nX\1\0\0\0ao"),
    "items for a number": ops(b"K\1K\2a"),
    "a call of a number": ops(b"K\1)R"),
    "an empty stack": ops(b"0" * 5),
}


@pytest.mark.parametrize("kind", PICKLES)
def test_open_torch_of_a_pickle_bomb_is_refused_or_read_in_bounds(
    kind: str, tmp_path: Path, time_limit: Callable[[int], None]
) -> None:
    path = write(tmp_path / "a.pt", {})
    rewritten(path, lambda found, data: PICKLES[kind] if found.filename.endswith("data.pkl") else data)
    time_limit(120)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if kind == "a place far away in the memo":
        assert load_torch(path) == {}
    else:
        with pytest.raises(CheckpointError, match=r"a\.pt: expected .*(as a key|found damage)"):
            load_torch(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # KiB


def test_open_torch_of_more_steps_than_any_file_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.pt", list(range(200)))
    monkeypatch.setattr("elite.weights.inert_pickle._MAX_STEPS", 100)
    with pytest.raises(CheckpointError, match="more than 100 steps"):
        load_torch(path)


# ---- limits of an archive -------------------------------------------------------------------------------------


def word(value: str) -> bytes:
    """Opcode that pushes a text."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()


FLOATS = b"ctorch\nFloatStorage\n"


def tensor_pickle(
    *, kind: bytes = word("storage"), dtype: bytes = FLOATS, key: bytes = word("0"), count: bytes = b"K\3"
) -> bytes:
    """{"a": a tensor of three numbers}, with parts of its storage's persistent id as opcodes."""
    storage = b"(" + kind + dtype + key + word("cpu") + count + b"tQ"
    return ops(b"}", word("a"), b"ctorch._utils\n_rebuild_tensor_v2\n(", storage, b"K\0K\3\x85K\1\x85\x89}tRs")


def archive_of(path: Path, *members: tuple[str, bytes]) -> Path:
    """An uncompressed archive with these members; several may have one name."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")  # about a name that occurs twice
        for name, content in members:
            archive.writestr(f"a/{name}", content)
    return path


NUMBERS = struct.pack("<3f", 1, 2, 3)


def test_load_torch_of_an_archive_written_by_hand_reads_it(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "a.pt", ("data.pkl", tensor_pickle()), ("data/0", NUMBERS))
    assert load_torch(path)["a"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["data/0", "data.pkl"])
def test_load_torch_of_two_members_of_one_name_is_refused(name: str, tmp_path: Path) -> None:
    members = [("data.pkl", tensor_pickle()), ("data/0", NUMBERS)]
    path = archive_of(tmp_path / "a.pt", *members, *[m for m in members if m[0] == name])
    with pytest.raises(CheckpointError, match=r"a\.pt: expected .* found two members of one name\. Copy it again"):
        load_torch(path)


@pytest.mark.parametrize("name", [b"a/data/0", b"a/data.pkl"])
@pytest.mark.parametrize("byte", range(4))
def test_load_torch_of_a_member_without_its_signature_is_refused(byte: int, name: bytes, tmp_path: Path) -> None:
    path = archive_of(tmp_path / "a.pt", ("other", b"x"), ("data.pkl", tensor_pickle()), ("data/0", NUMBERS))
    data = bytearray(path.read_bytes())
    header = data.index(name) - 30
    assert data[header : header + 4] == b"PK\3\4"
    data[header + byte] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="a member without a header"):
        load_torch(path)


@pytest.mark.parametrize(("room", "is_read"), [(0, True), (-1, False)])
def test_load_torch_reads_a_description_up_to_its_limit(
    room: int, is_read: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = tensor_pickle()
    path = archive_of(tmp_path / "a.pt", ("data.pkl", content), ("data/0", NUMBERS))
    monkeypatch.setattr("elite.weights.torch_formats._ShortReads.read", lambda self, size=-1: self._read(size))
    monkeypatch.setattr("elite.weights.torch_formats.HEADER_BYTES", len(content) + room)
    if is_read:
        assert load_torch(path)["a"].tolist() == [1, 2, 3]
        return
    with pytest.raises(
        CheckpointError, match=rf"data\.pkl of {len(content)} bytes, expected at most {len(content) - 1}"
    ):
        load_torch(path)


@pytest.mark.parametrize(("room", "is_read"), [(0, True), (-1, False)])
def test_load_torch_reads_a_directory_up_to_its_limit(
    room: int, is_read: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = [(f"empty{i}", b"") for i in range(200)]
    path = archive_of(tmp_path / "a.pt", ("data.pkl", tensor_pickle()), ("data/0", NUMBERS), *empty)
    data = path.read_bytes()
    directory = len(data) - 22 - data.index(b"PK\1\2")
    monkeypatch.setattr("elite.weights.torch_formats.HEADER_BYTES", directory + room)
    if is_read:
        assert load_torch(path)["a"].tolist() == [1, 2, 3]
        return
    with pytest.raises(CheckpointError, match=f"a directory of {directory} bytes"):
        load_torch(path)


@pytest.mark.parametrize("numbers", [2, 4])
def test_load_torch_of_a_storage_of_another_size_is_refused(numbers: int, tmp_path: Path) -> None:
    """The member has fewer or more bytes than its persistent id claims."""
    path = archive_of(tmp_path / "a.pt", ("data.pkl", tensor_pickle()), ("data/0", bytes(4 * numbers)))
    with pytest.raises(CheckpointError, match=rf"{4 * numbers} bytes for 3 numbers of torch\.float32"):
        load_torch(path)


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ({"kind": word("tensor")}, "an unknown persistent id"),
        ({"dtype": word("torch.FloatStorage")}, "an unknown persistent id"),
        ({"count": word("3")}, "an unknown persistent id"),
        ({"count": b"G" + struct.pack(">d", 3.0)}, "an unknown persistent id"),
        ({"key": b"K\0"}, "an unknown key of a storage"),
        ({"key": word("0" * 101)}, "an unknown key of a storage"),
        ({"key": word("1")}, "a/data/1"),
    ],
    ids=["kind", "type", "count as text", "count as float", "number as key", "long key", "missing member"],
)
def test_load_torch_of_an_invalid_storage_is_refused(parts: dict[str, bytes], fault: str, tmp_path: Path) -> None:
    members = [("data.pkl", tensor_pickle(**parts)), ("data/0", NUMBERS), (f"data/{'0' * 101}", NUMBERS)]
    with pytest.raises(CheckpointError, match=fault):
        load_torch(archive_of(tmp_path / "a.pt", *members))


def test_load_torch_reads_a_storage_with_the_longest_key(tmp_path: Path) -> None:
    key = "0" * 100
    path = archive_of(tmp_path / "a.pt", ("data.pkl", tensor_pickle(key=word(key))), (f"data/{key}", NUMBERS))
    assert load_torch(path)["a"].tolist() == [1, 2, 3]


def test_weight_files_that_are_pipes_folders_or_devices_are_refused(
    tmp_path: Path, time_limit: Callable[[int], None]
) -> None:
    from elite.student import load_student
    from elite.weights.safetensors_file import open_safetensors

    os.mkfifo(tmp_path / "pipe")
    time_limit(120)
    readers = (load_torch, load_student, lambda path: open_safetensors(path).__enter__())
    for path, found in ((tmp_path / "pipe", "a pipe"), (Path("/dev/zero"), "a pipe"), (tmp_path, "found a folder")):
        for read in readers:
            with pytest.raises(CheckpointError, match=found):
                read(path)


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((1,) * 65, None, 0), ((3,), None, 0), ((2,), None, 1), ((2,), (2,), 0), ((1,), None, -1), ((2**62, 4), None, 0)],
)
def test_lazy_tensors_beyond_their_storage_are_refused(size: Any, stride: Any, offset: int) -> None:
    with pytest.raises((ValueError, RuntimeError)):
        LazyTensors(io.BytesIO(bytes(8))).add(Storage(0, 8), torch.float32, size, stride=stride, offset=offset)


def test_load_torch_without_memory_is_an_error_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.pt", {"a": torch.ones(3)})

    def empty(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("elite.weights.lazy_tensors.np.empty", empty)
    with pytest.raises(CheckpointError, match=r"a\.pt: expected weights that fit in memory"):
        load_torch(path)


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        ("lazy_tensors.np.empty", RuntimeError("can't allocate memory"), "expected weights that fit in memory"),
        ("inert_pickle.pickletools.genops", OSError(errno.EIO, "I/O error"), "expected a checkpoint, found I/O error"),
    ],
)
def test_load_torch_with_a_fault_of_the_machine_is_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception, message: str
) -> None:
    path = write(tmp_path / "a.pt", {"a": torch.ones(3)})

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(f"elite.weights.{place}", fail)
    with pytest.raises(CheckpointError, match=message):
        load_torch(path)


def test_load_torch_of_changed_numbers_is_refused(tmp_path: Path) -> None:
    """torch itself does not compare the checksums."""
    path = write(tmp_path / "a.pt", {"a": torch.full((100,), 0.1)})
    path.write_bytes(path.read_bytes().replace(struct.pack("<f", 0.1), struct.pack("<f", 0.2), 1))
    assert not torch.equal(torch.load(path)["a"], torch.full((100,), 0.1))
    with pytest.raises(CheckpointError, match="checksum"):
        load_torch(path)


def test_check_numbers_of_strides_of_zero_nan_or_other_types_is_refused() -> None:
    check_numbers({"a": torch.ones(3)}, "x")
    with pytest.raises(CheckpointError, match=r"x: expected 1,000,000 numbers for 'a', found fewer"):
        check_numbers({"a": torch.ones(1).expand(10**6)}, "x")
    with pytest.raises(CheckpointError, match=r"x: expected finite numbers, found NaN or infinity in 'a'"):
        check_numbers({"a": torch.tensor([1, torch.nan])}, "x")
    for dtype in (torch.float8_e4m3fn, torch.complex64):
        with pytest.raises(CheckpointError, match=rf"found a tensor of {dtype} in 'a'\. Save the weights in float32"):
            check_numbers({"a": torch.ones(1).to(dtype)}, "x")


# ---- remedies -------------------------------------------------------------------------------------------------


def test_open_torch_of_a_resaved_compressed_archive_is_read(tmp_path: Path) -> None:
    path = rewritten(write(tmp_path / "a.pt", {"a": torch.ones(3)}), lambda _, data: data, "data/0")
    with pytest.raises(CheckpointError, match=r"Load it with torch\.load and save it again with torch\.save"):
        load_torch(path)
    torch.save(torch.load(path), path)
    assert load_torch(path)["a"].tolist() == [1, 1, 1]


def test_open_torch_of_resaved_big_endian_numbers_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pt", {"a": torch.ones(3)})
    swapped = {"byteorder": b"big", "0": struct.pack(">3f", 1, 1, 1)}
    rewritten(path, lambda member, data: swapped.get(member.filename.split("/")[-1], data))
    with pytest.raises(CheckpointError, match=r"big.*Load it with torch\.load and save it again with torch\.save"):
        load_torch(path)
    torch.save(torch.load(path), path)
    assert load_torch(path)["a"].tolist() == [1, 1, 1]


def test_open_torch_of_a_pickled_module_is_refused(tmp_path: Path) -> None:
    for packed in (True, False):
        path = tmp_path / "a.pt"
        torch.save(torch.nn.Linear(2, 1), path, _use_new_zipfile_serialization=packed)
        with pytest.raises(CheckpointError, match=r"object of torch\.nn\..*\.Linear.*Save only its state_dict"):
            load_torch(path)
    torch.save(torch.nn.Linear(2, 1).state_dict(), path)
    assert load_torch(path)["weight"].shape == (1, 2)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a/data.pkl", "a/constants.pkl"], "a TorchScript archive"),
        (["a.npy"], "another zip archive"),
        ([], "another zip archive"),
    ],
)
def test_open_torch_of_another_archive_is_named(names: list[str], found: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, pickle.dumps({}))
    with pytest.raises(CheckpointError, match=rf"found {found}\. Save only the model's state_dict"):
        load_torch(tmp_path / "a.zip")
