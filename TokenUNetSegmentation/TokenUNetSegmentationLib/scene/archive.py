"""Results as DICOM objects in Slicer's database."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from tokenunet.core.errors import OutputError, UnreadableImageError
from tokenunet.core.events import ProgressEvent

from TokenUNetSegmentationLib.logic.inputs import Availability
from TokenUNetSegmentationLib.process.worker import WorkerProcess, run_command
from TokenUNetSegmentationLib.scene.result_folder import SCAN, write_result_steps
from TokenUNetSegmentationLib.scene.results import PatientResult

_SAVED_ATTRIBUTE = "TokenUNet.SavedDicom"
"""SOP instance UIDs of the objects that were saved last, separated by spaces."""

_SOURCE = "source"
"""Folder of the reference's series in the folder that the worker reads."""


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


def save_steps(
    result: PatientResult, start_worker: Callable[[Sequence[str], Path], WorkerProcess]
) -> Iterator[float | list[Path]]:
    """Add segmentation, measurements and key slices to the study in Slicer's database, in short steps.

    A worker process makes the objects. Those of an unchanged result are in the database already, and stay as they are.

    Args:
        result: Patient.
        start_worker: Function that starts the worker process.

    Yields:
        Completed fraction from 0 to 1, and at last the files in the database. Closing the iterator ends all work.

    Raises:
        MissingNodeError: If the reference volume is gone.
        InputError: If the scans' files cannot be used.
        WorkerError: If the objects cannot be made.
        OutputError: If the database does not take the objects.
    """
    from DICOMLib import DICOMUtils
    from tokenunet.dicom_out.export import sop_instance_uid

    with tempfile.TemporaryDirectory(prefix="tokenunet-dicom-") as temporary:
        folder, objects = Path(temporary) / "result", Path(temporary) / "objects"
        for _copied in chain(_write_series(result, folder / _SOURCE), write_result_steps(result, folder)):
            yield 0.0
        arguments = ["dicom", str(folder), "--output", str(objects)]
        arguments += ["--scan", str(folder / SCAN), "--source", str(folder / _SOURCE)]
        fraction = 0.0
        for events in run_command(arguments, start_worker, _("Saving ended unexpectedly; save again.")):
            fraction = max([fraction, *(event.fraction for event in events if isinstance(event, ProgressEvent))])
            yield fraction
        uids = [sop_instance_uid(path) for path in sorted(objects.iterdir())]
        if not all(slicer.dicomDatabase.fileForInstance(uid) for uid in uids):
            DICOMUtils.importDicom(str(objects), slicer.dicomDatabase, True)
    files = [slicer.dicomDatabase.fileForInstance(uid) for uid in uids]
    if "" in files:
        raise OutputError(
            _("Slicer's DICOM database did not take the objects."), _("Make room on its disk, and save again.")
        )
    result.segmentation.SetAttribute(_SAVED_ATTRIBUTE, " ".join(uids))
    yield [Path(file) for file in files]


def _write_series(result: PatientResult, folder: Path) -> Iterator[None]:
    """Copy the files of the reference's series to a folder, in short steps."""
    folder.mkdir(parents=True)
    for number, file in enumerate(_source_files(result)):
        shutil.copyfile(file, folder / f"{number:05d}.dcm")
        yield


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
