"""Summary table of a batch, with one line per patient."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenunet.core.errors import OutputExistsError
from tokenunet.core.regions import REGIONS
from tokenunet.io.files import write_text

SUMMARY = "summary.csv"
INTERVAL = ("low", "high")
"""Ends of an interval, as columns and ``run.json`` name them."""
CORRECTED = "by hand"
"""Entry of a patient whose segmentation was corrected."""
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
    *(f"{name}_expected_dice" for name in REGIONS),
    *(f"{name}_{value}_{end}" for value in ("expected_dice", "ml") for name in REGIONS for end in INTERVAL),
    "corrected",
)
_FIRST_COLUMNS = ",".join(_COLUMNS[:5])
"""Header by which a summary is recognized; earlier versions had fewer columns."""


def correct_summary(result: Path, volumes_ml: Mapping[str, float]) -> None:
    """Replace the volumes of a corrected patient in the summary of its batch, if it is one of a batch.

    Args:
        result: Folder of the patient's results.
        volumes_ml: Volumes in ml, as in the run report.

    Raises:
        OutputError: If the summary cannot be written.
    """
    path = result.parent / SUMMARY
    if not path.is_file() or not path.read_bytes().startswith(_FIRST_COLUMNS.encode()):
        return
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        if line["patient"] == result.name:
            line |= {f"{name}_ml": str(volume) for name, volume in volumes_ml.items()} | {"corrected": CORRECTED}
            _write(path, lines)


def _write(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(lines)
    write_text(path, text.getvalue())


class Summary:
    """Summary table, in the order of the patients.

    Args:
        folder: Folder of ``summary.csv``.
        patients: Names of the patients in order.

    Raises:
        OutputExistsError: If there is a ``summary.csv`` that is not a summary of a batch.
    """

    def __init__(self, folder: Path, patients: Sequence[str]) -> None:
        self.path = folder / SUMMARY
        self._lines: dict[str, Mapping[str, Any]] = {}
        self._patients = patients
        if self.path.exists() and not self.path.read_bytes().startswith(_FIRST_COLUMNS.encode()):
            raise OutputExistsError(f"{self.path} is not a summary of a batch.", "Choose another folder.")

    @property
    def counts(self) -> dict[str, int]:
        """Number of patients by status."""
        counted = Counter(line["status"] for line in self._lines.values())
        return {status: counted[status] for status in ("ok", "skipped", "failed")}

    def add(self, line: Mapping[str, Any]) -> None:
        """Add or replace the line of a patient.

        Args:
            line: Values by column; ``patient`` and ``status`` are required.
        """
        self._lines[line["patient"]] = line

    def write(self) -> None:
        """Write the table atomically.

        Raises:
            OutputError: If it cannot be written.
        """
        _write(self.path, (self._lines[patient] for patient in self._patients if patient in self._lines))
