"""Synthetic patients from a seed: anatomy, tumor, contrast and artifacts, in this order."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.synthesis.anatomy import Lattice, Pose, build_anatomy, draw_pose, surface_distance
from tokenunet.synthesis.artifacts import Artifacts, acquire, draw_artifacts, stripped_brain
from tokenunet.synthesis.contrast import Contrast, draw_contrast, paint
from tokenunet.synthesis.fields import resized, seeded
from tokenunet.synthesis.growth import WORK_SPACING, core_depth, grow
from tokenunet.synthesis.mass import expansion_displacement
from tokenunet.synthesis.tumor import Kind, Tumor, draw_tumor

SPACINGS = (1.0, 1.6, 2.0, 4.0)
"""Spacings in mm that divide the patient's box into whole voxels."""
COARSE_SPACING = 4.0
"""Spacing for the position of the tumor and its mass effect, in mm."""


@dataclass(frozen=True)
class PatientParameters:
    """Parameters of one patient, from which it can be created again.

    Attributes:
        pose: Difference of the anatomy from an atlas.
        tumor: Shape and composition of the tumor.
        contrast: Intensities of tissues and tumor.
        artifacts: Artifacts of the images and errors of skull stripping.
    """

    pose: Pose
    tumor: Tumor
    contrast: Contrast
    artifacts: Artifacts


@dataclass(frozen=True)
class SyntheticPatient:
    """Four images of a synthetic patient and their ground truth.

    Attributes:
        seed: Seed of the patient.
        spacing: Isotropic voxel size, in mm.
        images: Images by sequence, float32 (D, H, W) with whole positive numbers in the brain and 0 outside. They cover
            the box of the head inside BraTS's field of view, see `tokenunet.synthesis.anatomy`.
        labels: Ground truth, uint8 (D, H, W): 0, NCR = 1, ED = 2, ET = 4.
        parameters: Parameters that were drawn.
    """

    seed: int
    spacing: float
    images: dict[SequenceName, NDArray[np.float32]]
    labels: NDArray[np.uint8]
    parameters: PatientParameters


def draw_parameters(seed: int, randomization: float = 1.0, kind: Kind | None = None) -> PatientParameters:
    """Draw the parameters of a patient without creating its images.

    Args:
        seed: Seed that determines the parameters.
        randomization: Factor on the width of the drawn ranges; above 1 exceeds those of training, for validation.
        kind: Subtype of the tumor; None draws one.

    Example:
        >>> from tokenunet.synthesis import Kind, draw_parameters
        >>> draw_parameters(5, kind=Kind.RING).tumor.kind.value
        'ring'
    """
    generator = seeded(seed)
    pose = draw_pose(generator, randomization)
    tumor = draw_tumor(generator, build_anatomy(pose, Lattice(COARSE_SPACING)), randomization, kind)
    return PatientParameters(
        pose, tumor, draw_contrast(generator, randomization), draw_artifacts(generator, randomization)
    )


def synthetic_patient(
    seed: int, spacing: float = 1.0, randomization: float = 1.0, kind: Kind | None = None
) -> SyntheticPatient:
    """Create a synthetic patient.

    Args:
        seed: Seed that determines the patient.
        spacing: Isotropic voxel size in mm, one of `SPACINGS`; coarse ones are faster.
        randomization: Factor on the width of the drawn ranges, as in `draw_parameters`.
        kind: Subtype of the tumor; None draws one.

    Raises:
        ValueError: If the spacing is not one of `SPACINGS`.

    Example:
        >>> from tokenunet.synthesis import synthetic_patient
        >>> patient = synthetic_patient(5, spacing=4.0)
        >>> sorted(patient.images), patient.labels.shape
        (['FLAIR', 'T1', 'T1ce', 'T2'], (38, 52, 44))
    """
    if spacing not in SPACINGS:
        raise ValueError(f"A synthetic patient has a spacing of 1, 1.6, 2 or 4 mm, not {spacing}.")
    return make_patient(seed, spacing, draw_parameters(seed, randomization, kind))


@torch.inference_mode()
def make_patient(seed: int, spacing: float, parameters: PatientParameters) -> SyntheticPatient:
    """Create the patient with given parameters, which may differ from those that `draw_parameters` drew.

    Args:
        seed: Seed that is recorded in the patient.
        spacing: One of `SPACINGS`, in mm.
        parameters: Parameters of the patient.
    """
    pose, tumor = parameters.pose, parameters.tumor
    coarse = build_anatomy(pose, Lattice(COARSE_SPACING))
    growth = pose.ventricle_growth * coarse.ventricles
    if tumor.kind is not Kind.HEALTHY:
        core = torch.sigmoid(core_depth(tumor) / 2)
        growth = growth + tumor.pressure * resized(core[None], coarse.lattice.shape)[0]
    displacement = expansion_displacement(growth, coarse.brain, COARSE_SPACING)

    work = build_anatomy(pose, Lattice(WORK_SPACING), displacement, landmarks=True)
    anatomy = work if spacing == WORK_SPACING else build_anatomy(pose, Lattice(spacing), displacement)
    grown = grow(tumor, anatomy, work)
    outside_mm = surface_distance(work.brain, WORK_SPACING)
    mask = stripped_brain(parameters.artifacts, anatomy, work, outside_mm)
    painted = paint(parameters.contrast, anatomy, work, grown, outside_mm)
    images = acquire(parameters.artifacts, anatomy, painted, mask)
    labels = grown.labels * mask
    return SyntheticPatient(
        seed=seed,
        spacing=spacing,
        images={name: image.numpy() for name, image in zip(SEQUENCES, images, strict=True)},
        labels=labels.numpy(),
        parameters=parameters,
    )
