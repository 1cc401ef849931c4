"""The sample "Token-UNet synthetic glioma": made on this computer, no download, no patient."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import slicer
from tokenunet.sequences import SEQUENCES

from TokenUNetSegmentationLib.volumes import detach_from_file, load_volume
from TokenUNetSegmentationLib.worker import WorkerProcess, run_command

SAMPLE_NAME = "Token-UNet synthetic glioma"
_SEED = 1
_NODE_NAME = "SyntheticGlioma"
_PAUSE_S = 0.02


def load_synthetic_glioma(
    temporary_folder: Path,
    while_waiting: Callable[[], None],
    start_worker: Callable[[Sequence[str], Path], WorkerProcess] = WorkerProcess,
) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Makes the patient in a process of its own and loads the four volumes, T1ce into the slice views.

    Args:
        temporary_folder: where the files lie until they are loaded.
        while_waiting: called again and again meanwhile; what it raises ends the work.
        start_worker: runs the ``tokenunet`` command.

    Raises:
        WorkerError: where that fails.
    """
    folder = Path(tempfile.mkdtemp(prefix="tokenunet-sample-", dir=temporary_folder))
    try:
        command = ["synth", "--patients", "1", "--seed", str(_SEED), "--output", str(folder)]
        for _events in run_command(command, start_worker, "The synthetic patient could not be made."):
            time.sleep(_PAUSE_S)
            while_waiting()
        (patient,) = (path for path in folder.iterdir() if path.is_dir())
        volumes = {}
        for sequence in SEQUENCES:
            (path,) = patient.glob(f"*_{sequence.lower()}.nii.gz")
            volumes[sequence] = load_volume(path, f"{_NODE_NAME}_{sequence}")
            detach_from_file(volumes[sequence])
            while_waiting()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    slicer.util.setSliceViewerLayers(background=volumes["T1ce"], foreground=None, label=None, fit=True)
    return list(volumes.values())
