"""Functions for Python users; `tokenunet` offers them lazily."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.bundle.bundle import ModelBundle, load_bundle
from tokenunet.bundle.store import DEFAULT_MODEL, find_manifest, find_model
from tokenunet.core.events import OnEvent, ignore_events
from tokenunet.core.grid import Grid
from tokenunet.core.overlays import Overlay
from tokenunet.core.regions import ET_LABEL, regions_from_labels
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.followup.request import FollowUpRequest
from tokenunet.inference.pipeline import segment as segment_to_folder
from tokenunet.inference.request import InferenceOptions, SegmentationRequest
from tokenunet.io.overlay_files import read_overlays
from tokenunet.io.result_files import LABELS_FILE
from tokenunet.networks.registry import architecture
from tokenunet.training.config.presets import PresetName

Pathlike = str | Path


@dataclass(frozen=True)
class SegmentationResult:
    """Segmentation of one patient as arrays with their grids.

    Attributes:
        labels: Exclusive labels (z, y, x) on `grid`: 0, NCR = 1, ED = 2, ET = 4.
        regions: Nested regions (3, z, y, x) on `grid` in the order WT, TC, ET.
        grid: Grid of the reference scan.
        volumes_ml: Volumes of WT, TC, ET, NCR and ED in ml.
        overlays: Maps to display over the scans by name, such as `token_learner_1` and `ensemble_uncertainty`, each
            with its grid, title, unit and display range.
        report: Run report, as in `run.json`.
    """

    labels: NDArray[np.uint8]
    regions: NDArray[np.bool_]
    grid: Grid
    volumes_ml: dict[str, float]
    overlays: dict[str, Overlay]
    report: dict[str, Any]


def segment(
    t1: Pathlike | None = None,
    t1ce: Pathlike | None = None,
    t2: Pathlike | None = None,
    flair: Pathlike | None = None,
    *,
    scans: Mapping[str, Pathlike] | None = None,
    study: Pathlike | None = None,
    left_out: Sequence[str] = (),
    output: Pathlike | None = None,
    model: Pathlike = DEFAULT_MODEL,
    device: str = "auto",
    overlays: bool = True,
    reference: SequenceName | None = None,
    on_event: OnEvent = ignore_events,
) -> SegmentationResult:
    """Segment one patient.

    Args:
        t1: T1 image: a file, or a file or the folder of a DICOM series. Overrides what `study` holds.
        t1ce: T1ce image, as for `t1`.
        t2: T2 image, as for `t1`.
        flair: FLAIR image, as for `t1`.
        scans: Images of any channels of the model by name, such as `{"ADC": "adc.nii.gz"}`.
        study: Folder of one patient, in which the channels that are not given are found.
        left_out: Channels that are missing, such as `["FLAIR"]`, if the model can do without them.
        output: Folder for the results; None writes no files.
        model: Name or path of a model bundle.
        device: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.
        overlays: Whether to compute the attention maps, if the model has any.
        reference: Sequence on whose grid the result is returned; None chooses T1ce, or T1 if that is much finer.
        on_event: Callback that receives progress and warnings; may raise `Cancelled` to stop.

    Returns:
        Labels, regions, volumes, overlays and the run report.

    Raises:
        UsageError: If channels are missing, no study is given and nobody said that they are left out.
        TokenUNetError: If the scans, the model or the device cannot be used, or results cannot be written.

    Example:
        >>> result = tokenunet.segment(study="patient", device="cpu")  # doctest: +SKIP
        >>> result.volumes_ml["WT"]  # doctest: +SKIP
        48.2
    """
    given = dict(zip(SEQUENCES, (t1, t1ce, t2, flair), strict=True)) | dict(scans or {})
    inputs = {name: Path(path) for name, path in given.items() if path is not None}
    manifest = find_manifest(str(model))
    has_maps = architecture(manifest.architecture).has_attention_maps
    with tempfile.TemporaryDirectory(prefix="tokenunet-") as temporary:
        folder = Path(temporary) / "result" if output is None else Path(output)
        request = SegmentationRequest(
            inputs=inputs,
            output=folder,
            model=model,
            folder=None if study is None else Path(study),
            reference=reference,
            options=InferenceOptions(device, attention_maps=overlays and has_maps),
            et_label=ET_LABEL,
            left_out=tuple(left_out),
        )
        return _read_result(folder, segment_to_folder(request, on_event))


def follow_up(
    patient: Pathlike,
    output: Pathlike,
    *,
    order: Sequence[str] = (),
    model: Pathlike = DEFAULT_MODEL,
    device: str = "auto",
    on_event: OnEvent = ignore_events,
) -> dict[str, Any]:
    """Compare two or more time points of one patient.

    Args:
        patient: Folder of the patient: DICOM studies of several days, or one folder per time point.
        output: Folder for the results, listed in `tokenunet.followup.output`.
        order: Names of the time points to compare, the earliest first; empty for all of them, by date.
        model: Name or path of a model bundle.
        device: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.
        on_event: Callback that receives progress and warnings; may raise `Cancelled` to stop.

    Returns:
        Report, as in ``follow_up.json``: time points with their volumes, changes with their uncertainty, lesions.

    Raises:
        TimePointsError: If there are fewer than two time points, or their order is not known.
        TokenUNetError: If the scans, the model or the device cannot be used, or results cannot be written.

    Example:
        >>> report = tokenunet.follow_up("patient", "comparison")  # doctest: +SKIP
        >>> first_change, *_ = report["changes"]  # doctest: +SKIP
        >>> first_change["difference_ml"]  # doctest: +SKIP
        4.1
    """
    from tokenunet.followup.pipeline import follow_up as follow_up_to_folder

    request = FollowUpRequest(Path(patient), Path(output), tuple(order), model, device)
    return follow_up_to_folder(request, on_event)


def load_model(name_or_path: Pathlike = DEFAULT_MODEL) -> ModelBundle:
    """Load a model bundle with its weights and verify its checksum.

    Args:
        name_or_path: Name from `list_models`, or path of a bundle folder or .zip file.

    Raises:
        ModelError: If there is no such model, or it is damaged.

    Example:
        >>> import tokenunet
        >>> tokenunet.load_model().manifest.architecture
        'token_unet_transformer'
    """
    return load_bundle(find_model(str(name_or_path)))


def train(
    data: Pathlike,
    output: Pathlike,
    *,
    architectures: Sequence[str] = ("token_unet_transformer",),
    preset: PresetName = "paper",
    folds: int = 5,
    seed: int = 0,
    device: str = "auto",
    settings: Mapping[str, Any] | None = None,
    on_event: OnEvent = ignore_events,
) -> Path:
    """Train architectures on labeled patients by cross-validation, and write the experiment's report.

    Args:
        data: Folder or CSV file of the patients.
        output: Folder of the new experiment.
        architectures: Names of registered architectures.
        preset: Preset whose settings are used.
        folds: Number of folds of the cross-validation.
        seed: Seed of splits, weights and patches.
        device: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.
        settings: Settings that replace the preset's.
        on_event: Callback that receives progress and warnings; may raise `Cancelled` to stop.

    Returns:
        Path of `report.html`.

    Raises:
        UsageError: If a setting or an architecture is unknown.
        TokenUNetError: If the patients cannot be used, or the training fails.
    """
    from tokenunet.runtime.device import resolve_device
    from tokenunet.training import jobs
    from tokenunet.training.experiment.experiment import Experiment, ExperimentPlan

    place = resolve_device(device)
    plan = ExperimentPlan(preset, tuple(architectures), folds, tuple(range(folds)), seed, dict(settings or {}))
    jobs.begin(Path(output), Path(data), plan, on_event)
    experiment = Experiment(Path(output))
    jobs.train(experiment, place, on_event)
    return experiment.report


def _read_result(folder: Path, report: dict[str, Any]) -> SegmentationResult:
    image = sitk.ReadImage(folder / LABELS_FILE)
    labels = sitk.GetArrayFromImage(image).astype(np.uint8)
    return SegmentationResult(
        labels,
        regions_from_labels(labels),
        Grid.of(image),
        report["volumes_ml"],
        read_overlays(report, folder),
        report,
    )
