"""Folder of a zero-shot student, and the settings that it was begun with."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from elite.config import TrainConfig
from elite.errors import ConfigError, OutputError, first_line
from elite.files import TEXT_BYTES, make_folder, parse_json, read_file, write_json
from elite.zero_shot.config import ZeroShotConfig


@dataclass(frozen=True)
class ZeroShotPlan:
    """Settings and outputs of a zero-shot student.

    Attributes:
        out: folder of all files.
        config: settings of the user.
        recipe: settings of the training, without data and output.
        command: command line, for the model card.
    """

    out: Path
    config: ZeroShotConfig
    recipe: TrainConfig
    command: str

    @property
    def streets(self) -> Path:
        """Data set to train on."""
        return self.out / "streets"

    @property
    def unseen(self) -> Path:
        """Data set to score on."""
        return self.out / "unseen"

    @property
    def run(self) -> Path:
        """Folder of the training run."""
        return self.out / "run"

    @property
    def student(self) -> Path:
        return self.out / "student.safetensors"

    @property
    def score(self) -> Path:
        """Score on the unseen streets, as of ``elite evaluate --json``."""
        return self.out / "score.json"

    @property
    def card(self) -> Path:
        return self.out / "student.md"

    @property
    def _record(self) -> Path:
        return self.out / "zero-shot.json"

    def training(self) -> TrainConfig:
        """Settings of the training, which resumes if it has begun."""
        resume = "last" if (self.run / "config.yaml").exists() else None
        names = ",".join(self.config.drive().training_sequences)
        data = replace(self.recipe.data, root=self.streets, sequences=names)
        return replace(self.recipe, out=self.run, resume=resume, data=data)

    def claim(self) -> bool:
        """Record the settings in an empty folder, or compare them with the recorded ones.

        Returns:
            Whether the folder was empty.

        Raises:
            ConfigError: other settings, or other files.
            OutputError: the record is damaged, or the folder is not writable.
        """
        make_folder(self.out)
        if self._record.is_file():
            self._compare()
            return False
        if any(self.out.iterdir()):
            raise ConfigError(
                f"{self.out}: expected an empty folder or one of 'elite zero-shot', found other files. Choose a new "
                "folder."
            )
        write_json(self._record, self.config.to_json())
        return True

    def _compare(self) -> None:
        try:
            recorded: dict[str, Any] = dict(parse_json(read_file(self._record, TEXT_BYTES)))
        except (OSError, ValueError, TypeError) as error:
            raise OutputError(
                f"{self._record}: expected the recorded settings, found damage ({first_line(error)}). Choose another "
                "folder."
            ) from error
        if changed := [name for name, value in self.config.to_json().items() if recorded.get(name) != value]:
            raise ConfigError(
                f"{self.out}: expected the settings that it was begun with, found other values of {', '.join(changed)}"
                ". Restore them, or choose another folder."
            )
