"""One synthetic patient from one seed: anatomy, tumor, contrast, artifacts, in this order."""

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
COARSE_SPACING = 4.0


@dataclass(frozen=True)
class PatientParameters:
    """Everything drawn for one patient; the patient can be made again from it."""

    pose: Pose
    tumor: Tumor
    contrast: Contrast
    artifacts: Artifacts


@dataclass(frozen=True)
class SyntheticPatient:
    """Four images and their truth.

    Attributes:
        seed: what the patient was made from.
        spacing: isotropic, in mm.
        images: by sequence, float32 (D, H, W) with whole positive numbers in the brain and 0 outside. They cover the
            box of the head inside BraTS's field of view, see `tokenunet.synthesis.anatomy`.
        labels: uint8 (D, H, W): 0, NCR = 1, ED = 2, ET = 4.
        parameters: what was drawn.
    """

    seed: int
    spacing: float
    images: dict[SequenceName, NDArray[np.float32]]
    labels: NDArray[np.uint8]
    parameters: PatientParameters


def draw_parameters(seed: int, variety: float = 1.0, kind: Kind | None = None) -> PatientParameters:
    """Draws a patient without making its images.

    Args:
        seed: decides everything.
        variety: above 1 widens the ranges, for a validation set that training does not cover.
        kind: draws only tumors of this kind; any when left out.
    """
    generator = seeded(seed)
    pose = draw_pose(generator, variety)
    tumor = draw_tumor(generator, build_anatomy(pose, Lattice(COARSE_SPACING)), variety, kind)
    return PatientParameters(pose, tumor, draw_contrast(generator, variety), draw_artifacts(generator, variety))


def synthetic_patient(
    seed: int, spacing: float = 1.0, variety: float = 1.0, kind: Kind | None = None
) -> SyntheticPatient:
    """A patient that never lived.

    Args:
        seed: the same seed gives the same patient.
        spacing: one of `SPACINGS`, in mm; coarse ones are quick to make.
        variety: see `draw_parameters`.
        kind: see `draw_parameters`.

    Raises:
        ValueError: for another spacing.
    """
    if spacing not in SPACINGS:
        raise ValueError(f"A synthetic patient has a spacing of 1, 1.6, 2 or 4 mm, not {spacing}.")
    return make_patient(seed, spacing, draw_parameters(seed, variety, kind))


@torch.inference_mode()
def make_patient(seed: int, spacing: float, parameters: PatientParameters) -> SyntheticPatient:
    """Return the patient with those parameters, drawn by `draw_parameters` and possibly changed since.

    Args:
        seed: Seed that is noted in the patient.
        spacing: One of `SPACINGS`, in mm.
        parameters: Everything that was drawn.
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
