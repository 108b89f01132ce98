"""Settings from a command line that consists of settings only."""

from typing import TypeVar

from elite.cli.parser import Command, Parser
from elite.cli.settings import add_settings, configuration

Config = TypeVar("Config")


def settings_parser(cls: type) -> Parser:
    """Parser of the options of ``cls``."""
    return Parser("settings", Command(lambda _: 0, lambda parser: add_settings(parser, cls, {}), "", ""))


def parse_settings(words: list[str], cls: type[Config], *, parser: Parser | None = None) -> Config:
    """Settings of a line such as ``--config NAME --data.workers 0``.

    Args:
        words: options and their values.
        cls: dataclass of the settings.
        parser: that of ``settings_parser``, for many lines.
    """
    return configuration((parser or settings_parser(cls)).parse(words), cls)
