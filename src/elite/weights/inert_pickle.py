"""Pickles as plain data: no module is imported, no class is created, and no function of the file is called.

``pickletools`` decodes the opcodes. Objects of other classes become a ``Foreign``.
"""

import pickletools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

_MAX_STEPS = 2**20  # opcodes, and values in the expanded result: a network of 1,000 layers needs 2^16
_MAX_DEPTH = 64  # of nested values
_TEXT = 16  # characters that count as one value
# A long value can be used a million times, and costs its length each time.
_MAX_KEY_LENGTH = 2**12
_MAX_ARGUMENTS = 16
_LITERALS = frozenset(
    {
        *("INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)

_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
_MEMO_PUT = frozenset({"BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"})
_MEMO_GET = frozenset({"BINGET", "LONG_BINGET", "GET"})
_WITHOUT_EFFECT = frozenset({"PROTO", "FRAME", "STOP"})


class PickleFault(ValueError):
    """A damaged pickle, or one larger than any that describes weights."""


@dataclass(frozen=True, eq=False, slots=True)
class Foreign:
    """Placeholder of a class, a function or an object that is not opened. Its contents are discarded."""

    name: str


class InertUnpickler:
    """Read pickles (protocols 0 to 5 as Python writes them) into dictionaries, lists, tuples, text and numbers.

    Attributes:
        known: constants and functions of ours by the name "module.attribute" in a file. No other functions are called.
            Their arguments come from the file and may be anything.
        persistent: converts a persistent id.
        foreign: all other names that the files refer to, in order of appearance.
    """

    def __init__(self, known: Mapping[str, Any], persistent: Callable[[Any], Any]) -> None:
        self.known = known
        self.persistent = persistent
        self.foreign: dict[str, None] = {}
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def load(self, file: BinaryIO) -> Any:
        """Read one pickle, up to its end in ``file``.

        Raises:
            PickleFault: damaged, an unusual opcode, too long, nested too deeply, or containing itself.
            OSError: unreadable.
        """
        self._stack, self._marks, self._memo = [], [], {}
        try:
            for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if step > _MAX_STEPS:
                    raise PickleFault(f"more than {_MAX_STEPS} steps")
                self._run(opcode.name, argument)
            result = self._stack.pop()
        except (PickleFault, OSError):
            raise
        except Exception as error:  # steps of a damaged pickle fail in many ways
            raise PickleFault(f"damaged pickle ({type(error).__name__}: {str(error)[:80]})") from error
        _check_size(result)
        return result

    def _run(self, opcode: str, argument: Any) -> None:
        if opcode in _LITERALS:
            self._stack.append(argument)
        elif opcode in _CONSTANTS:
            self._stack.append(_CONSTANTS[opcode]())
        elif opcode in _MEMO_PUT:
            self._memo[len(self._memo) if opcode == "MEMOIZE" else argument] = self._stack[-1]
        elif opcode in _MEMO_GET:
            self._stack.append(self._memo[argument])
        elif not (opcode in _WITHOUT_EFFECT or self._collect(opcode) or self._resolve(opcode, argument)):
            raise PickleFault(f"unexpected opcode {opcode}")

    def _collect(self, opcode: str) -> bool:
        """Run an opcode that fills or discards containers; return False for other ones."""
        stack = self._stack
        match opcode:
            case "MARK":
                self._marks.append(stack)
                self._stack = []
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                size = int(opcode[-1])
                stack[-size:] = [tuple(stack[-size:])]
            case "TUPLE" | "LIST":
                items = self._since_mark()
                self._stack.append(tuple(items) if opcode == "TUPLE" else items)
            case "DICT":
                items = self._since_mark()
                self._stack.append({})
                self._set(items)
            case "APPEND":
                self._extend([stack.pop()])
            case "APPENDS" | "ADDITEMS":
                self._extend(self._since_mark())
            case "SETITEM":
                items = stack[-2:]
                del stack[-2:]
                self._set(items)
            case "SETITEMS":
                self._set(self._since_mark())
            case "POP" | "BUILD":  # BUILD sets attributes of an object, which are discarded
                stack.pop()
            case "POP_MARK":
                self._since_mark()
            case _:
                return False
        return True

    def _resolve(self, opcode: str, argument: Any) -> bool:
        """Run an opcode that names or calls a global, or creates an object; return False for other ones."""
        stack = self._stack
        match opcode:
            case "GLOBAL" | "STACK_GLOBAL":
                parts = argument.split(" ", 1) if opcode == "GLOBAL" else [stack.pop(-2), stack.pop()]
                if sum(map(len, parts)) > _MAX_KEY_LENGTH:
                    raise PickleFault("a name that is too long")
                stack.append(self._global(".".join(parts)))
            case "EMPTY_SET":
                stack.append(self._global("builtins.set"))
            case "FROZENSET":
                self._since_mark()
                self._stack.append(self._global("builtins.frozenset"))
            case "REDUCE" | "NEWOBJ":
                arguments = stack.pop()
                stack.append(self._call(stack.pop(), arguments))
            case "NEWOBJ_EX":
                del stack[-2:]
                stack.append(self._call(stack.pop(), ()))
            case "BINPERSID":
                stack.append(self.persistent(stack.pop()))
            case _:
                return False
        return True

    def _since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _global(self, name: str) -> Any:
        if name in self.known:
            return self.known[name]
        self.foreign[name] = None
        return Foreign(name)

    def _call(self, function: Any, arguments: Any) -> Any:
        if isinstance(function, Foreign):
            return Foreign(function.name)
        if len(arguments) > _MAX_ARGUMENTS:
            raise PickleFault(f"a call with {len(arguments)} arguments")
        return function(*arguments)  # one of ``known``: other values cannot be called

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Foreign):
            raise PickleFault(f"list items for a {type(target).__name__}")

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, dict):
            target.update(zip(map(self._key, items[::2]), items[1::2], strict=True))
        elif not isinstance(target, Foreign):
            raise PickleFault(f"dictionary items for a {type(target).__name__}")

    def _key(self, key: Any) -> Any:
        """A key that can be hashed and compared fast; a nested tuple can take forever, or overflow the stack."""
        if isinstance(key, Foreign | None) or (isinstance(key, str | bytes) and len(key) <= _MAX_KEY_LENGTH):
            return key
        if isinstance(key, int) and abs(key) < 2**63:  # larger ones can collide on purpose
            return key
        return self._global(f"{type(key).__module__}.{type(key).__name__} (as a key)")


def _check_size(value: Any) -> None:
    """Check the size and depth of the expanded ``value``, in which each part may occur many times.

    Raises:
        PickleFault: too large or too deep.
    """
    levels: list[Iterator[Any]] = [iter((value,))]
    count = 0
    while levels:
        for part in levels[-1]:
            count += 1
            if isinstance(part, str | bytes):
                count += len(part) // _TEXT
            elif isinstance(part, dict | list | tuple):
                levels.append(chain(part, part.values()) if isinstance(part, dict) else iter(part))
                break
        else:
            levels.pop()
        if len(levels) > _MAX_DEPTH or count > _MAX_STEPS:
            raise PickleFault("values nested without end")
