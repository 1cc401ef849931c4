"""Report of a dataset check, as JSON and as text."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tokenunet.core.errors import DatasetError
from tokenunet.core.grid import Triple
from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.data.cases import DatasetFinding, Severity
from tokenunet.data.fingerprint import FileHashes

_SHOWN_PER_CODE = 3
"""Number of findings of one kind that are listed with their messages."""


@dataclass(frozen=True)
class CaseFacts:
    """Properties of a case that could be read.

    Attributes:
        name: Name of the case.
        patient: Name of the patient.
        size: Size of the reference scan along x, y and z, in voxels.
        spacing: Spacing of the reference scan along x, y and z, in mm.
        volumes_ml: Volume of each region in the ground truth, in ml.
        sha256: SHA-256 of the files, by sequence and of the ground truth.
    """

    name: str
    patient: str
    size: tuple[int, int, int]
    spacing: Triple
    volumes_ml: dict[RegionName, float]
    sha256: dict[str, str]


@dataclass(frozen=True)
class DatasetReport:
    """Result of `check_dataset`.

    Attributes:
        folder: Folder or CSV file of the dataset.
        layout: Name of the layout, such as ``BraTS 2023``.
        cases: Names of all cases.
        patients: Number of patients.
        grouping: Names of the cases of each patient; those of one patient stay in one fold.
        label_values: Exclusive label by value in the ground truth of the first case.
        facts: Properties of the cases that could be read.
        findings: Errors, then warnings.
        fingerprint: SHA-256 of the names, patients, label schemes and file contents of all cases, independent of paths.
    """

    folder: Path
    layout: str
    cases: tuple[str, ...]
    patients: int
    grouping: dict[str, tuple[str, ...]]
    label_values: dict[int, int]
    facts: tuple[CaseFacts, ...]
    findings: tuple[DatasetFinding, ...]
    fingerprint: str

    @property
    def errors(self) -> tuple[DatasetFinding, ...]:
        """Findings that prevent training."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def hashes(self) -> FileHashes:
        """SHA-256 of the files of all cases that could be read."""
        return {facts.name: facts.sha256 for facts in self.facts}

    def raise_errors(self) -> None:
        """Raise an exception if the dataset has errors.

        Raises:
            DatasetError: If there are errors; it describes the first one.
        """
        if not self.errors:
            return
        more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
        first = self.errors[0]
        of_case = f"{first.case}: " if first.case else ""
        raise DatasetError(
            f"{self.folder} cannot be trained on{more}: {of_case}{first.message}",
            "" if not more else f'See them all with: tokenunet dataset check "{self.folder}"',
        )

    def to_json(self) -> dict[str, Any]:
        """Convert the report to types of JSON."""
        return asdict(self) | {"folder": str(self.folder)}

    def to_text(self) -> str:
        """Format the report as text: tables and sentences."""
        lines = [
            f"{self.folder}: {self.layout}, {_number(self.patients, 'patient')}, {_number(len(self.cases), 'case')}"
        ]
        lines += described_grouping(self.grouping)
        grids = Counter((facts.size, tuple(round(s, 3) for s in facts.spacing)) for facts in self.facts)
        if grids:
            lines += ["", f"{'cases':>5}  {'size of T1ce':<16} spacing in mm"]
            for (size, spacing), count in grids.most_common():
                lines.append(f"{count:>5}  {by(size):<16} {by(spacing)}")
            lines += ["", f"{'region':<6} median ml  smallest   largest"]
            for region in REGIONS:
                volumes = [facts.volumes_ml[region] for facts in self.facts]
                lines.append(f"{region:<6} {np.median(volumes):>9.1f} {min(volumes):>9.1f} {max(volumes):>9.1f}")
        by_code: dict[tuple[Severity, str], list[DatasetFinding]] = defaultdict(list)
        for finding in self.findings:
            by_code[finding.severity, finding.code].append(finding)
        for (severity, code), findings in by_code.items():
            lines += ["", f"{severity} {code}, {_number(len(findings), 'time')}:"]
            lines += [f"  {f.case + ': ' if f.case else ''}{f.message}" for f in findings[:_SHOWN_PER_CODE]]
            rest = [f.case for f in findings[_SHOWN_PER_CODE:]]
            if rest:
                lines.append(f"  The same: {', '.join(rest)}")
        errors, warnings = len(self.errors), len(self.findings) - len(self.errors)
        verdict = "It cannot be trained on." if errors else "It can be trained on."
        lines += ["", f"{_number(errors, 'error')}, {_number(warnings, 'warning')}. {verdict}"]
        return "\n".join(lines) + "\n"


def described_grouping(grouping: Mapping[str, Sequence[str]]) -> list[str]:
    """Return lines that list the patients with several cases; none if there are no such patients.

    Args:
        grouping: Names of the cases of each patient.
    """
    several = [f"  {patient}: {', '.join(names)}" for patient, names in grouping.items() if len(names) > 1]
    return ["", "Patients with several cases, which stay in one fold:", *several] if several else []


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def by(numbers: Iterable[float]) -> str:
    """Format numbers along x, y and z.

    Args:
        numbers: Numbers such as sizes or spacings.

    Example:
        >>> by((240, 240, 155))
        '240 x 240 x 155'
    """
    return " x ".join(f"{n:g}" for n in numbers)
