"""Parser of a command's options for callers other than the command line."""

import argparse
from typing import NoReturn

from tokenunet.core.errors import UsageError


class OptionParser(argparse.ArgumentParser):
    """Parser that raises `UsageError` instead of exiting.

    Args:
        command: Command whose options are parsed, such as `tokenunet segment`.
    """

    def __init__(self, command: str) -> None:
        super().__init__(command, add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` with what argparse found wrong."""
        raise UsageError(f"The options are wrong: {message}.", f"Run: {self.prog} --help")
