"""Folder for results that is proposed next to the chosen input."""

from pathlib import Path
from typing import Any


class ProposedOutput:
    """Proposes a folder for results until the user chooses another one.

    A path that is typed arrives letter by letter, and its beginnings are folders, too.

    Args:
        source: Path edit (ctkPathLineEdit) with the input.
        output: Path edit (ctkPathLineEdit) with the folder for results.
        ending: Text that is appended to the name of the input.
    """

    def __init__(self, source: Any, output: Any, ending: str) -> None:
        self._source = source
        self._output = output
        self._ending = ending
        self._proposed = ""

    def update(self) -> None:
        """Propose the folder of the current input, if it exists."""
        source = Path(self._source.currentPath)
        if self._output.currentPath in ("", self._proposed) and source.name and source.exists():
            name = source.stem if source.is_file() else source.name
            self._proposed = str(source.with_name(f"{name}{self._ending}"))
            self._output.setCurrentPath(self._proposed)
