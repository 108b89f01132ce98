"""Selections of frames: cameras, sequences by name or split, and numbers of frames."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from elite.datasets.records import FrameFiles, Selection
from elite.errors import ConfigError, DataError
from elite.formatting import some_of
from elite.layout import parse_frames, parse_names

Splits = Mapping[str, Sequence[str]]  # names of sequences by split


def check_cameras(selection: Selection, known: Collection[str]) -> None:
    """Check the cameras of a selection.

    Raises:
        ConfigError: one is not ``known``, or there is none although images make a frame.
    """
    unknown = [camera for camera in selection.cameras if camera not in known]
    if unknown or (selection.frame_files == "images" and not selection.cameras):
        raise ConfigError(
            f"data.cameras: expected some of {', '.join(known)}, found {', '.join(unknown) or 'no camera'}. Change the "
            "selection."
        )


def by_sequence(frames: Iterable[FrameFiles], root: Path) -> dict[str, list[FrameFiles]]:
    """Group the frames of a data set by sequence, each in the order in which it first occurs.

    Raises:
        DataError: the data set has no frames, or a name occurs twice or is not that of a file.
    """
    found, known = dict[str, list[FrameFiles]](), set[tuple[str, str]]()
    for frame in frames:
        if frame.id in known or not all(map(_is_file_name, frame.id)):
            problem = "twice" if frame.id in known else "which is not the name of a folder and a file"
            raise DataError(
                f"{root}: expected frames with names that differ and contain no slash, found {str(frame.id)!r}, "
                f"{problem}. Change list_frames of the reader."
            )
        known.add(frame.id)
        found.setdefault(frame.id.sequence, []).append(frame)
    if not found:
        raise DataError(f"{root}: expected frames of a data set, found none. Check the path.")
    return found


def _is_file_name(name: str) -> bool:
    return name not in ("", ".", "..") and "/" not in name and name.isprintable()


def select_frames(
    selection: Selection, listed: Mapping[str, Sequence[FrameFiles]], splits: Splits, root: Path
) -> tuple[dict[str, list[FrameFiles]], tuple[str, ...]]:
    """Choose the frames of a selection. Frames are numbered by their position in the sequence.

    Args:
        selection: sequences, excluded sequences, and numbers of frames.
        listed: all frames by sequence.
        splits: sequences by split.
        root: for error messages.

    Returns:
        The chosen frames by sequence, and the sequences of selected splits that the data set lacks.

    Raises:
        ConfigError: a part of the selection is neither a split nor the name of a sequence.
    """
    named = list(listed) if selection.sequences is None else _sequences(selection.sequences, listed, splits, root)
    excluded = () if selection.without == "none" else _sequences(selection.without, listed, splits, root)
    wanted = parse_frames(selection.frames)
    chosen = {
        name: [frame for i, frame in enumerate(listed[name]) if wanted is None or i in wanted]
        for name in named
        if name in listed and name not in excluded
    }
    return chosen, tuple(name for name in named if name not in listed)


def _sequences(text: str, found: Collection[str], splits: Splits, root: Path) -> list[str]:
    """Names of sequences in a selection such as ``train,depot``, each once."""
    if text in found and text not in splits:
        return [text]  # also with commas or spaces in it
    names = dict[str, None]()
    for part in parse_names(text):
        if part not in splits and part not in found:
            known = f"{', '.join(splits)}, or names of sequences" if splits else "names of sequences"
            raise ConfigError(
                f"{root}, sequences '{text}': expected {known}, found '{part}'. Select some of {some_of(found)}."
            )
        names |= dict.fromkeys(splits.get(part, (part,)))
    if not names:
        raise ConfigError(f"sequences '{text}': expected at least one, found none. Select some of {some_of(found)}.")
    return list(names)
