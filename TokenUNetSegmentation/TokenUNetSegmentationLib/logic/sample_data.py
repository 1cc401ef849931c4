"""Sample data set "Token-UNet synthetic glioma", generated on this computer without download or patient data."""

import shutil
import tempfile
import time
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from tokenunet.core.sequences import SEQUENCES

from TokenUNetSegmentationLib.process.dependencies import install, missing_requirements, read_requirements, user_agrees
from TokenUNetSegmentationLib.process.worker import WorkerProcess, run_command
from TokenUNetSegmentationLib.scene.volumes import detach_from_file, load_volume

_SEED = 1
_NODE_NAME = "SyntheticGlioma"
_PAUSE_S = 0.02


def make_sample(requirements: Path) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Generate the sample for Slicer's Sample Data module, installing missing packages after asking.

    Args:
        requirements: File that lists the required packages.

    Returns:
        Volumes in the order of `SEQUENCES`; empty if the user declined the installation or an error was displayed.
    """
    missing = missing_requirements(read_requirements(requirements))
    if missing and not user_agrees(missing):
        return []
    with slicer.util.tryWithErrorDisplay(_("The synthetic patient could not be made."), waitCursor=True):
        if missing:
            install(missing)
        slicer.util.showStatusMessage(_("Making a synthetic patient..."), 60_000)
        try:
            return _load_synthetic_glioma(Path(slicer.app.temporaryPath))
        finally:
            slicer.util.showStatusMessage("")


def _keep_window_alive() -> None:
    """Redraw the window, but leave clicks for later: a second one must not start while the first is running."""
    slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)


def _load_synthetic_glioma(temporary_folder: Path) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Generate the patient in a worker process, load the four volumes and display T1ce."""
    folder = Path(tempfile.mkdtemp(prefix="tokenunet-sample-", dir=temporary_folder))
    try:
        command = ["synth", "--patients", "1", "--seed", str(_SEED), "--output", str(folder)]
        for _events in run_command(command, WorkerProcess, _("The synthetic patient could not be made.")):
            time.sleep(_PAUSE_S)
            _keep_window_alive()
        (patient,) = (path for path in folder.iterdir() if path.is_dir())
        volumes = {}
        for sequence in SEQUENCES:
            (path,) = patient.glob(f"*_{sequence.lower()}.nii.gz")
            volumes[sequence] = load_volume(path, f"{_NODE_NAME}_{sequence}")
            detach_from_file(volumes[sequence])
            _keep_window_alive()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    slicer.util.setSliceViewerLayers(background=volumes["T1ce"], foreground=None, label=None, fit=True)
    return list(volumes.values())
