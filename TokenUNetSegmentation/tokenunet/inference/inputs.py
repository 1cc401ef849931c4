"""Scans of a segmentation request: found, read and checked."""

from dataclasses import dataclass

from tokenunet.bundle.manifest import ModelManifest
from tokenunet.core.errors import UsageError
from tokenunet.core.findings import Finding
from tokenunet.core.sequences import SequenceName
from tokenunet.inference.channels import missing_findings, with_channel_names
from tokenunet.inference.request import SegmentationRequest
from tokenunet.study.find import find_study
from tokenunet.study.found_study import FoundStudy
from tokenunet.study.scans import Study


@dataclass(frozen=True)
class PatientInputs:
    """Scans of one patient, ready to be aligned.

    Attributes:
        found: Places of the scans, and the reasons for their sequences.
        study: The scans themselves.
        missing: Channels of the model without a scan.
        findings: Findings for the user.
    """

    found: FoundStudy
    study: Study
    missing: list[SequenceName]
    findings: list[Finding]


def read_inputs(request: SegmentationRequest, manifest: ModelManifest) -> PatientInputs:
    """Find, read and check the scans of a request.

    Args:
        request: Inputs of the patient.
        manifest: Manifest of the model that takes them.

    Raises:
        UsageError: If the inputs are not the model's, or DICOM results are requested for a reference that is not DICOM.
        InputError: If the scans cannot be used.
    """
    channels = manifest.inputs
    request = with_channel_names(request, manifest.name, channels)
    found = find_study(request.folder, request.inputs, channels, request.left_out)
    study = found.read(request.reference)
    if (request.dicom_seg or request.dicom_out) and study.reference not in found.series:
        raise UsageError(
            f"{study.scans[study.reference].source} is not a DICOM series, which DICOM results must refer to.",
            "Give the study as DICOM, or leave out --dicom-seg and --dicom-out.",
        )
    missing = [name for name in channels.names if name not in study.scans]
    return PatientInputs(found, study, missing, [*found.findings, *missing_findings(channels, missing)])
