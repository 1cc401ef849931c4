"""Synthetic patients segmented by a model, with their ground truth."""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.bundle.bundle import ModelBundle
from tokenunet.core.prediction import Prediction
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.preprocessing import Prepared, prepare
from tokenunet.study.scans import Scan, Study
from tokenunet.synthesis import SyntheticPatient, synthetic_patient
from tokenunet.synthesis.writing import in_field_of_view


@dataclass(frozen=True)
class SyntheticCase:
    """Prediction and ground truth of a synthetic patient.

    Attributes:
        prepared: Input of the network.
        prediction: Prediction on the prepared grid.
        whole_tumor: Whole tumor (D, H, W) of the ground truth on the same grid.
    """

    prepared: Prepared
    prediction: Prediction
    whole_tumor: NDArray[np.bool_]


def synthetic_study(patient: SyntheticPatient) -> tuple[Study, sitk.Image]:
    """Return a patient's scans as if read from files, and the true exclusive labels on the same grid."""
    scans = {
        sequence: Scan(sitk.Cast(in_field_of_view(patient, image), sitk.sitkFloat32), f"synthetic {sequence}", "")
        for sequence, image in patient.images.items()
    }
    return Study(scans), in_field_of_view(patient, patient.labels)


def segmented_case(seed: int, bundle: ModelBundle) -> SyntheticCase:
    """Generate a patient at the model's spacing, and segment it on the CPU.

    Raises:
        ValueError: If there are no synthetic patients at the model's spacing.
    """
    study, truth = synthetic_study(synthetic_patient(seed, bundle.manifest.spacing[0]))
    prepared = prepare(study, bundle.manifest.space)
    prediction, _execution = predict(prepared, bundle, InferenceOptions(device="cpu"))
    labels = prepared.grid.resample(truth, sitk.sitkNearestNeighbor)
    return SyntheticCase(prepared, prediction, sitk.GetArrayFromImage(labels) > 0)
