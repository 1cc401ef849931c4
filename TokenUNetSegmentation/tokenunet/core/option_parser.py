"""Parsing of a command's options for callers other than the command line."""

import argparse
from collections.abc import Callable, Sequence
from typing import NoReturn

from tokenunet.core.errors import UsageError


def parse_options(
    command: str, add_arguments: Callable[[argparse.ArgumentParser], None], arguments: Sequence[str]
) -> argparse.Namespace:
    """Parse the options of a command.

    Args:
        command: Command, such as `tokenunet segment`.
        add_arguments: Function that adds the command's options to a parser.
        arguments: Words after the command.

    Raises:
        UsageError: If an option is unknown or has no value.
    """
    parser = _OptionParser(command)
    add_arguments(parser)
    return parser.parse_args(arguments)


class _OptionParser(argparse.ArgumentParser):
    """Parser that raises `UsageError` instead of exiting."""

    def __init__(self, command: str) -> None:
        super().__init__(command, add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` with what argparse found wrong."""
        raise UsageError(f"The options are wrong: {message}.", f"Run: {self.prog} --help")
