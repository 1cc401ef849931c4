"""Prepared synthetic patients with and without perturbations, for the tools that fit and measure the review."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from tokenunet.bundle.bundle import ModelBundle
from tokenunet.core.grid import Grid
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import regions_from_labels
from tokenunet.evaluation.robustness import conditions
from tokenunet.evaluation.synthetic_cases import synthetic_study
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.inference.review import reviewed_patient
from tokenunet.preprocessing import Prepared, prepare
from tokenunet.preprocessing.prepare import adjusted
from tokenunet.review.patient import ReviewedPatient
from tokenunet.study.scans import Scan, Study
from tokenunet.synthesis import synthetic_patient

CLEAN = "clean"
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_SHIFT = 6.0
"""Added to normalized intensities, so that perturbations of scans find them positive."""


@dataclass(frozen=True)
class Sample:
    """Prepared patient with ground truth.

    Attributes:
        name: Name of the patient.
        condition: Name of the perturbation, or `CLEAN`.
        prepared: Input of the network.
        regions: Regions (3, D, H, W) of the ground truth.
    """

    name: str
    condition: str
    prepared: Prepared
    regions: NDArray[np.bool_]

    def reviewed(self, bundle: ModelBundle) -> ReviewedPatient:
        """Segment the patient on the CPU."""
        prediction, _execution = predict(self.prepared, bundle, InferenceOptions(device="cpu"))
        return self.with_prediction(prediction, bundle)

    def with_prediction(self, prediction: Prediction, bundle: ModelBundle) -> ReviewedPatient:
        """Return the patient with a prediction."""
        return reviewed_patient(prediction, self.prepared, bundle.manifest.space.channels)


def samples(space: ModelSpace, folder: Path | None, first: int, number: int, perturbed: float) -> Iterator[Sample]:
    """Iterate over patients, of which a share is perturbed by each condition in turn.

    Args:
        space: Input space of the model.
        folder: Folder of prepared patients, as `load_sample` reads them; None makes synthetic ones.
        first: Number of the first file in the folder, or the first seed.
        number: Number of patients.
        perturbed: Share of the perturbed patients.
    """
    files = [] if folder is None else sorted(folder.glob("*.npz"))[first : first + number]
    names = [str(file.stem) for file in files] or [str(first + i) for i in range(number)]
    changes = [condition for condition in conditions(space) if condition.name != "orientation"]
    done = 0
    for i, name in enumerate(names):
        sample = load_sample(files[i], space) if files else _synthetic(first + i, space)
        if (i + 1) * perturbed >= done + 1:
            condition = changes[done % len(changes)]
            study = condition.change_study(_as_study(sample.prepared, space), i)
            prepared = condition.change_prepared(_renormalized(study, sample.prepared, space))
            sample, done = replace(sample, condition=condition.name, prepared=prepared), done + 1
        tensor, _findings = adjusted(sample.prepared.tensor, sample.prepared.brain, space)
        yield replace(sample, name=name, prepared=replace(sample.prepared, tensor=tensor))


def load_sample(file: Path, space: ModelSpace) -> Sample:
    """Read a prepared patient: an .npz file of ``image`` (C, D, H, W) and ``labels`` (D, H, W)."""
    with np.load(file, allow_pickle=False) as stored:
        image, labels = stored["image"].astype(np.float32), stored["labels"]
    brain = (image != 0).any(axis=0)
    grid = Grid((brain.shape[2], brain.shape[1], brain.shape[0]), space.spacing, (0.0, 0.0, 0.0), _IDENTITY)
    prepared = Prepared(torch.from_numpy(image), brain, grid, grid, {}, ())
    return Sample(file.stem, CLEAN, prepared, regions_from_labels(labels))


def _synthetic(seed: int, space: ModelSpace) -> Sample:
    study, truth = synthetic_study(synthetic_patient(seed, space.spacing[0]))
    prepared = prepare(study, ModelSpace(space.channels, space.spacing, space.orientation))
    labels = sitk.GetArrayFromImage(prepared.grid.resample(truth, sitk.sitkNearestNeighbor))
    return Sample(str(seed), CLEAN, prepared, regions_from_labels(labels))


def _as_study(prepared: Prepared, space: ModelSpace) -> Study:
    """Return the prepared channels as scans with positive intensities."""
    images = ((scan + _SHIFT) * prepared.brain for scan in prepared.tensor.numpy())
    return Study(
        {
            name: Scan(prepared.grid.image(image.astype(np.float32)), name, "")
            for name, image in zip(space.channels, images, strict=True)
        }
    )


def _renormalized(study: Study, prepared: Prepared, space: ModelSpace) -> Prepared:
    """Return perturbed scans as the network receives them."""
    channels = []
    for name in space.channels:
        values = sitk.GetArrayFromImage(prepared.grid.resample(study.scans[name].image))
        inside = values[prepared.brain]
        channels.append((values - inside.mean()) / max(float(inside.std()), 1e-6) * prepared.brain)
    return replace(prepared, tensor=torch.from_numpy(np.stack(channels).astype(np.float32)))


def lesions(tumor: NDArray[np.bool_], voxel_ml: float, least_ml: float) -> list[NDArray[np.bool_]]:
    """Return the connected components of a tumor (D, H, W) of at least a volume, by decreasing volume."""
    parts = sitk.ConnectedComponent(sitk.GetImageFromArray(tumor.astype(np.uint8)))
    labels = sitk.GetArrayFromImage(sitk.RelabelComponent(parts, int(np.ceil(least_ml / voxel_ml))))
    return [labels == number for number in range(1, int(labels.max()) + 1)]


def silenced(patient: ReviewedPatient, kept: NDArray[np.bool_]) -> ReviewedPatient:
    """Return a patient whose decoder found nothing outside a mask; the encoder's readout stays."""
    probabilities = patient.prediction.probabilities * kept
    prediction = replace(patient.prediction, probabilities=probabilities)
    return replace(patient, segmented=probabilities[0] > 0.5, prediction=prediction)


def around(region: NDArray[np.bool_], distance_mm: float, spacing: Sequence[float]) -> NDArray[np.bool_]:
    """Return a region with everything within a distance of it."""
    image = sitk.GetImageFromArray(region.astype(np.uint8))
    return sitk.GetArrayFromImage(sitk.BinaryDilate(image, [round(distance_mm / s) for s in spacing])).astype(bool)
