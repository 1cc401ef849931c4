"""The sample "Token-UNet synthetic glioma": made on this computer, no download, no patient."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import slicer
from tokenunet.errors import TokenUNetError
from tokenunet.events import ErrorEvent
from tokenunet.sequences import SEQUENCES

from TokenUNetSegmentationLib.volumes import detach_from_file, load_volume
from TokenUNetSegmentationLib.worker import WorkerProcess

SAMPLE_NAME = "Token-UNet synthetic glioma"
_SEED = 1
_NODE_NAME = "SyntheticGlioma"
_PAUSE_S = 0.02


class SampleDataError(TokenUNetError):
    """The synthetic patient could not be made."""

    code = "sample_data"


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
        SampleDataError: where that fails.
    """
    folder = Path(tempfile.mkdtemp(prefix="tokenunet-sample-", dir=temporary_folder))
    try:
        for _waiting in _make_patient(folder, start_worker):
            while_waiting()
        (patient,) = (path for path in (folder / "patients").iterdir() if path.is_dir())
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


def _make_patient(folder: Path, start_worker: Callable[[Sequence[str], Path], WorkerProcess]) -> Iterator[None]:
    command = ["synth", "--patients", "1", "--seed", str(_SEED), "--output", str(folder / "patients")]
    worker = start_worker([*command, "--progress", "json"], folder)
    try:
        failures: list[ErrorEvent] = []
        for events in worker.events_until_end():
            failures += [event for event in events if isinstance(event, ErrorEvent)]
            time.sleep(_PAUSE_S)
            yield
        if failures:
            raise SampleDataError(failures[0].message, failures[0].hint)
        if worker.exit_code != 0:
            raise SampleDataError("The synthetic patient could not be made.", worker.log()[-500:])
    finally:
        worker.close()
