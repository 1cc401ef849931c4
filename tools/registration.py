"""Measure how well known motions between the sequences of synthetic patients are recovered.

    python -m tools.registration --motions 100

Every motion is up to 20° about a random axis and up to 20 mm in a random direction; half of the moved scans have slices
of 5 mm in a random direction. A motion counts as recovered if the mean distance of the brain's voxels from their true
positions is below 1 mm.
"""

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from tokenunet.core.grid import Grid, Triple
from tokenunet.core.sequences import SequenceName
from tokenunet.evaluation.synthetic_cases import synthetic_study
from tokenunet.preprocessing.register import LEAST_QUALITY, Reference
from tokenunet.synthesis import SyntheticPatient, synthetic_patient

FOUND_MM = 1.0
_SPACING = 2.0
_MOST_DEGREES, _MOST_MM = 20.0, 20.0
_THICKNESS: tuple[Triple, ...] = ((1.0, 1.0, 5.0), (1.0, 5.0, 1.0), (5.0, 1.0, 1.0))
_MOTIONS_PER_PATIENT = 5
_MOVED: tuple[SequenceName, ...] = ("T1", "T2", "FLAIR")


@dataclass(frozen=True)
class Trial:
    """Registration of one known motion.

    Attributes:
        seed: Seed of the patient.
        sequence: Moved sequence.
        spacing: Voxel size of the moved scan in mm.
        error_mm: Mean distance of the brain's voxels from their true positions in mm.
        quality: Quality that the registration reports.
        seconds: Duration in seconds.
    """

    seed: int
    sequence: SequenceName
    spacing: Triple
    error_mm: float
    quality: float
    seconds: float

    @property
    def found(self) -> bool:
        """Whether the motion was recovered."""
        return self.error_mm < FOUND_MM

    @property
    def flagged(self) -> bool:
        """Whether a user would receive a warning."""
        return self.quality < LEAST_QUALITY


def random_motion(
    random: np.random.Generator, center: Triple, most_degrees: float = _MOST_DEGREES, most_mm: float = _MOST_MM
) -> sitk.Euler3DTransform:
    """Return a rotation about a random axis through ``center``, and a translation."""
    axis, direction = (v / np.linalg.norm(v) for v in random.normal(size=(2, 3)))
    versor = sitk.VersorRigid3DTransform()
    versor.SetRotation(axis.tolist(), math.radians(random.uniform(0, most_degrees)))
    motion = sitk.Euler3DTransform()
    motion.SetCenter(center)
    motion.SetMatrix(versor.GetMatrix())
    motion.SetTranslation((direction * random.uniform(0, most_mm)).tolist())
    return motion


def moved(image: sitk.Image, motion: sitk.Transform, spacing: Triple) -> sitk.Image:
    """Return an image after a motion, which maps its points to their new positions, with another voxel size."""
    return Grid.of(image).with_spacing(spacing).resample(image, transform=motion.GetInverse())


def trial(patient: SyntheticPatient, random: np.random.Generator, thick: bool) -> Trial:
    """Move one of a patient's scans and register it to T1ce.

    Args:
        patient: Synthetic patient.
        random: Source of randomness.
        thick: Whether the moved scan has thick slices.
    """
    scans = synthetic_study(patient)[0].scans
    reference = scans["T1ce"].image
    sequence = _MOVED[random.integers(len(_MOVED))]
    spacing = _THICKNESS[random.integers(len(_THICKNESS))] if thick else (1.0, 1.0, 1.0)
    brain = reference != 0
    indices = np.argwhere(sitk.GetArrayViewFromImage(brain))[::500, ::-1]
    points = [reference.TransformIndexToPhysicalPoint(index) for index in indices.tolist()]
    motion = random_motion(random, tuple(np.mean(points, axis=0)))
    scan = moved(scans[sequence].image, motion, spacing)
    began = time.perf_counter()
    alignment = Reference(reference, brain).align(scan)
    seconds = time.perf_counter() - began
    errors = [math.dist(alignment.transform.TransformPoint(p), motion.TransformPoint(p)) for p in points]
    return Trial(patient.seed, sequence, spacing, float(np.mean(errors)), alignment.quality, seconds)


def trials(motions: int, seed: int) -> Iterator[Trial]:
    """Iterate over trials, which depend on the seed only.

    Args:
        motions: Number of trials.
        seed: Seed of the first patient.
    """
    random = np.random.default_rng(seed)
    for number in range(motions):
        if number % _MOTIONS_PER_PATIENT == 0:
            patient = synthetic_patient(seed + number, _SPACING)
        yield trial(patient, random, thick=number % 2 == 1)


def main() -> None:
    """Run the trials and print a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=5 * 10**9)
    options = parser.parse_args()
    done = []
    for t in trials(options.motions, options.seed):
        done.append(t)
        if not t.found or t.flagged:
            print(f"{t}", flush=True)
    errors = np.array([t.error_mm for t in done])
    found, flagged = (np.array([getattr(t, name) for t in done]) for name in ("found", "flagged"))
    print(f"{found.sum()} of {len(done)} found; median {np.median(errors):.2f} mm, most {errors.max():.2f} mm")
    print(f"{(flagged & ~found).sum()} failures flagged, {(flagged & found).sum()} flagged though found")
    print(f"quality at least {min(t.quality for t in done):.2f}")
    print(f"{np.mean([t.seconds for t in done]):.2f} s each")


if __name__ == "__main__":
    main()
