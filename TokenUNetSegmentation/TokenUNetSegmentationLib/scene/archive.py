"""Results as DICOM objects in Slicer's database."""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from tokenunet.core.errors import OutputError, UnreadableImageError

from TokenUNetSegmentationLib.logic.inputs import Availability
from TokenUNetSegmentationLib.scene.corrections import EDITS
from TokenUNetSegmentationLib.scene.results import PatientResult
from TokenUNetSegmentationLib.scene.volumes import grid_of

_SAVED_ATTRIBUTE = "TokenUNet.SavedDicom"
"""SOP instance UIDs of the objects that were saved last, separated by spaces."""


def can_save_dicom(result: PatientResult) -> Availability:
    """Return whether a result can be saved to Slicer's DICOM database, and why not."""
    if result.reference is None or not result.reference.GetAttribute("DICOM.instanceUIDs"):
        return Availability(
            False, _("DICOM objects refer to DICOM images, and these scans were not loaded from DICOM.")
        )
    if getattr(slicer, "dicomDatabase", None) is None or not slicer.dicomDatabase.isOpen:
        return Availability(False, _("Slicer's DICOM database is not open: open the DICOM module."))
    if find_spec("highdicom") is None:
        return Availability(False, _("Saving DICOM needs highdicom, which Slicer has from 5.12 on."))
    return Availability(True, _("Add segmentation and measurements to the study in Slicer's DICOM database."))


def save_to_database(result: PatientResult, key_slices: bool) -> list[Path]:
    """Add segmentation, measurements and key slices to the study in Slicer's database, and return the files there.

    Args:
        result: Patient.
        key_slices: Whether to add key slices, too; they need matplotlib.

    Raises:
        MissingNodeError: If the reference volume is gone.
        InputError: If the scans' files cannot be used.
        OutputError: If the database does not take the objects.
    """
    from DICOMLib import DICOMUtils
    from tokenunet.dicom_out.export import DicomResult, sop_instance_uid, write_dicom_result

    reference = result.require_reference()
    source_files = _source_files(result)
    report = result.report
    model = report.get("model", {})
    scan = grid_of(reference).image(slicer.util.arrayFromVolume(reference))
    dicom = DicomResult(
        scan,
        result.regions(),
        source_files,
        model.get("name", "Token-UNet"),
        model.get("sha256", "")[:12],
        tuple(report.get("not_segmented", ())),
        edited=bool(report.get(EDITS)),
        lesions=report.get("lesions"),
    )
    with tempfile.TemporaryDirectory(prefix="tokenunet-dicom-") as folder:
        uids = [sop_instance_uid(path) for path in write_dicom_result(dicom, Path(folder), key_slices)]
        DICOMUtils.importDicom(folder, slicer.dicomDatabase, True)
    files = [slicer.dicomDatabase.fileForInstance(uid) for uid in uids]
    if "" in files:
        raise OutputError(
            _("Slicer's DICOM database did not take the objects."), _("Make room on its disk, and save again.")
        )
    result.segmentation.SetAttribute(_SAVED_ATTRIBUTE, " ".join(uids))
    return [Path(file) for file in files]


def saved_files(result: PatientResult) -> list[Path]:
    """Return the files of the objects that were saved last; empty if there are none or they were deleted."""
    uids = (result.segmentation.GetAttribute(_SAVED_ATTRIBUTE) or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    files = [database.fileForInstance(uid) if database is not None else "" for uid in uids]
    return [Path(file) for file in files] if all(files) else []


def _source_files(result: PatientResult) -> list[Path]:
    """Return the files of the reference's series.

    Raises:
        UnreadableImageError: If the database does not have them any more.
    """
    uids = (result.require_reference().GetAttribute("DICOM.instanceUIDs") or "").split()
    files = [slicer.dicomDatabase.fileForInstance(uid) for uid in dict.fromkeys(uids)]
    if "" in files:
        raise UnreadableImageError(
            _("The scans are no longer in Slicer's DICOM database."), _("Import them again, and save again.")
        )
    return [Path(file) for file in files]
