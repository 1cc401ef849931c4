"""Scans found for a patient."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tokenunet.core.findings import Finding
from tokenunet.core.sequences import SequenceName
from tokenunet.study.dicom import DicomSeries, read_series
from tokenunet.study.identity import check_one_person
from tokenunet.study.scans import Scan, Study, read_scan, study_of


@dataclass(frozen=True)
class FoundScan:
    """Place of a scan, and the reason for its sequence.

    Attributes:
        place: Image file or DICOM series.
        confidence: Confidence that it is the sequence, 0 to 1; 1 if it was given as such.
        reason: Readable reason, to follow "because".
    """

    place: Path | DicomSeries
    confidence: float
    reason: str

    def read(self) -> Scan:
        """Read and check the scan; see `read_study` and `read_series` for the errors."""
        return read_scan(self.place) if isinstance(self.place, Path) else read_series(self.place)


@dataclass(frozen=True)
class FoundStudy:
    """Scans found for a patient.

    Attributes:
        scans: Scan by sequence.
        findings: Findings about the choice, for the user.
        excluded: Reason by name, for each series or file that is not one of the model's scans.
    """

    scans: dict[SequenceName, FoundScan]
    findings: list[Finding] = field(default_factory=list)
    excluded: dict[str, str] = field(default_factory=dict)

    @property
    def series(self) -> dict[SequenceName, DicomSeries]:
        """DICOM series by sequence, for the scans that are DICOM."""
        return {s: scan.place for s, scan in self.scans.items() if isinstance(scan.place, DicomSeries)}

    def read(self, reference: SequenceName | None = None) -> Study:
        """Read and check all scans; see `FoundScan.read` and `study_of` for the errors.

        Args:
            reference: Sequence on whose grid the results are; None chooses one, see `study_of`.
        """
        return study_of({sequence: scan.read() for sequence, scan in self.scans.items()}, reference, ())


def series_findings(scans: Mapping[SequenceName, FoundScan]) -> list[Finding]:
    """Return the findings of the scans that are DICOM series.

    Args:
        scans: Scan by sequence.

    Raises:
        MixedPatientsError: If the series belong to several patients.
    """
    found = FoundStudy(dict(scans)).series.values()
    check_one_person(series.tags for series in found)
    return [finding for series in found for finding in series.findings]
