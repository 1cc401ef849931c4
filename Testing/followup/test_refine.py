"""Refinement of an alignment by several sequences, from which one alone may lead away."""

import math
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from tokenunet.core.sequences import SequenceName
from tokenunet.followup.refine import Examination, refine
from tokenunet.synthesis import draw_parameters
from tokenunet.synthesis.patient import make_patient
from tokenunet.synthesis.writing import in_field_of_view

MOTION = sitk.Euler3DTransform((0.0, -120.0, 80.0), 0.05, -0.03, 0.04, (3.0, -2.0, 4.0))
OFF = (0.02, -0.02, 0.02, 1.5, 1.5, -1.0)
"""Error of the start: rotations, translation in mm."""


def examination(parameters_of: int, motion: sitk.Transform | None = None) -> Examination:
    """One anatomy and tumor, with the contrast and the artifacts of another patient."""
    own, other = draw_parameters(21), draw_parameters(parameters_of)
    patient = make_patient(21, 4.0, replace(own, contrast=other.contrast, artifacts=other.artifacts))
    scans: dict[str, sitk.Image] = {}
    for name, box in patient.images.items():
        scan = sitk.Cast(in_field_of_view(patient, box), sitk.sitkFloat32)
        scans[name] = scan if motion is None else sitk.Resample(scan, scan, motion.GetInverse())
    brain = sitk.GetArrayFromImage(scans["T1ce"]) > 0
    return Examination("T1ce", scans, brain, np.zeros_like(brain))


@pytest.fixture(scope="module")
def examinations() -> tuple[Examination, Examination]:
    return examination(21), examination(1021, MOTION)


def error_mm(transform: sitk.Transform, examination: Examination) -> float:
    reference = examination.scans["T1ce"]
    indices = np.argwhere(examination.brain)[::100, ::-1].tolist()
    points = [reference.TransformIndexToPhysicalPoint(index) for index in indices]
    return float(np.mean([math.dist(transform.TransformPoint(p), MOTION.TransformPoint(p)) for p in points]))


def start() -> sitk.Euler3DTransform:
    transform = sitk.Euler3DTransform(MOTION)
    transform.SetParameters((np.array(MOTION.GetParameters()) + OFF).tolist())
    return transform


def test_refine_finds_the_motion_by_several_sequences(examinations: tuple[Examination, Examination]) -> None:
    before = error_mm(start(), examinations[0])
    after = error_mm(refine(start(), *examinations), examinations[0])
    print(f"{before:.2f} mm before, {after:.2f} mm after")
    assert before > 2
    assert after < 1.5  # voxels of 4 mm


def test_flattened_removes_a_bias_field(examinations: tuple[Examination, Examination]) -> None:
    first, _ = examinations
    scan = sitk.GetArrayFromImage(first.scans["T1ce"])
    field = np.exp(0.4 * np.linspace(-1, 1, len(scan)))[:, None, None]
    biased = replace(first, scans={"T1ce": first.grid.image((scan * field).astype(np.float32))})
    inside = first.inside(8.0)
    flat, flat_too = (sitk.GetArrayFromImage(one.flattened("T1ce"))[inside] for one in (first, biased))
    assert np.abs(flat_too / flat - 1).mean() < 0.05
    assert np.corrcoef(flat, scan[inside])[0, 1] > 0.7, "what is smaller than a bias field stays"


@pytest.mark.parametrize("kept", [("T1ce",), ()])
def test_refine_with_a_single_common_sequence_keeps_the_start(
    examinations: tuple[Examination, Examination], kept: tuple[SequenceName, ...]
) -> None:
    first, other = examinations
    few = replace(other, scans={name: scan for name, scan in other.scans.items() if name in kept})
    assert refine(start(), first, few).GetParameters() == start().GetParameters()
