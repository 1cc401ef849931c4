"""The table of a batch: a line per patient, for people and for spreadsheets."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenunet.core.errors import OutputExistsError
from tokenunet.io.files import write_text

SUMMARY = "summary.csv"
_VOLUMES = ("WT", "TC", "ET", "NCR", "ED")
_COLUMNS = (
    "patient",
    "status",
    "code",
    "message",
    "hint",
    *(f"{name}_ml" for name in _VOLUMES),
    "warnings",
    "seconds",
)


class Summary:
    """Lines in the order of the patients, whatever order they are done in.

    Args:
        folder: of ``summary.csv``.
        patients: of the batch, in order.

    Raises:
        OutputExistsError: where there is a ``summary.csv`` of something else.
    """

    def __init__(self, folder: Path, patients: Sequence[str]) -> None:
        self.path = folder / SUMMARY
        self._lines: dict[str, Mapping[str, Any]] = {}
        self._patients = patients
        if self.path.exists() and not self.path.read_bytes().startswith(",".join(_COLUMNS).encode()):
            raise OutputExistsError(f"{self.path} is no summary of a batch.", "Choose another folder.")

    @property
    def counts(self) -> dict[str, int]:
        """Patients by status."""
        counted = Counter(line["status"] for line in self._lines.values())
        return {status: counted[status] for status in ("ok", "skipped", "failed")}

    def add(self, line: Mapping[str, Any]) -> None:
        """Adds a patient's line: ``patient``, ``status`` and any other of the columns."""
        self._lines[line["patient"]] = line

    def write(self) -> None:
        """Replaces the table in one step.

        Raises:
            OutputError: where it cannot be written.
        """
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._lines[patient] for patient in self._patients if patient in self._lines)
        write_text(self.path, text.getvalue())
