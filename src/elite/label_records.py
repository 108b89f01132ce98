"""Records of the classes of label files that elite writes, since the ids of several taxonomies overlap.

A folder of predictions has a file ``taxonomy.json`` with all classes. A generated label file has a provenance record
(see ``elite.pseudo_labels.store``), whose settings identify them. Labels of other tools have no record, and count as
labels of the data set's classes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elite.errors import ConfigError, DataError, OutputError, first_line
from elite.files import TEXT_BYTES, parse_json, read_file, write_json
from elite.taxonomy import Taxonomy, load_taxonomy, require_equal_taxonomies, taxonomy_from
from elite.version import __version__

FOLDER_RECORD = "taxonomy.json"


def record_classes(folder: Path, taxonomy: Taxonomy) -> None:
    """Write the classes of the labels that a folder will contain, unless its record has them already.

    Raises:
        OutputError: the folder contains labels of other classes, or is not writable.
        DataError: its record is damaged.
    """
    found = recorded_classes(folder)
    if found is None:
        write_json(folder / FOLDER_RECORD, {"taxonomy": taxonomy.to_dict(), "version": __version__})
    elif not found.matches(taxonomy):
        raise OutputError(
            f"{folder}: expected labels of the classes of MODEL, {taxonomy.name}, found those of {found.name} by "
            f"{FOLDER_RECORD}. Choose another -o."
        )


def recorded_classes(folder: Path) -> Taxonomy | None:
    """Return the classes of the labels in a folder; None without a record.

    Raises:
        DataError: the record is damaged.
    """
    path = folder / FOLDER_RECORD
    try:
        return taxonomy_from(parse_json(read_file(path, TEXT_BYTES))["taxonomy"], FOLDER_RECORD)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
        raise DataError(
            f"{path}: expected the classes of the labels in its folder, found damage ({first_line(error)}). Predict "
            "again."
        ) from error


def require_predicted_classes(folder: Path, taxonomy: Taxonomy) -> None:
    """Check that the labels in a folder, if it has a record, are of these classes.

    Raises:
        ConfigError: they are of others; the message names both.
        DataError: the record is damaged.
    """
    if (found := recorded_classes(folder)) is not None:
        require_equal_taxonomies(found, taxonomy, folder, "Predict with a student that was trained on them.")


def identity(taxonomy: Taxonomy) -> dict[str, str]:
    """Return the entry of a provenance record that identifies the classes of its labels.

    It is empty for SemanticKITTI's, the only ones up to version 0.1.
    """
    is_first = taxonomy.matches(load_taxonomy("semantickitti"))
    return {} if is_first else {"name": taxonomy.name, "digest": taxonomy.digest}


def read_provenance(record: Path) -> dict[str, Any]:
    """Read the settings that labels were generated with, ``labels`` (their source) among them.

    Returns an empty dictionary without a valid record.
    """
    try:
        settings = parse_json(read_file(record, TEXT_BYTES))["settings"]
        return {"labels": "labels"} | dict(settings)
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def require_generated_classes(settings: Mapping[str, Any], taxonomy: Taxonomy, source: Path) -> None:
    """Check that a generated label file is of these classes, by the settings of its record (none = no record).

    Raises:
        DataError: it is of others; the message names both and the file, ``source``.
    """
    found = settings.get("taxonomy", {}) if settings else identity(taxonomy)
    if found in (identity(taxonomy), taxonomy.name):
        return
    name = found.get("name", "semantickitti") if isinstance(found, dict) else found
    other = f"another version of {name}" if name == taxonomy.name else name
    raise DataError(
        f"{source}: expected labels generated for the classes of the data, {taxonomy.name}, found those of {other}. "
        "Generate them again, or give the taxonomy that they were generated with."
    )
