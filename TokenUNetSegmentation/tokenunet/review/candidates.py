"""Review candidates: regions outside the segmentation that may be tumor, ranked by their probability.

They come from three sources that fail for different reasons. The encoder may have seen what the decoder left out
(`probe`), the decoder may have doubted (`probability`), and both may have missed what is plain in the scans (`image`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.grid import Grid, Triple
from tokenunet.core.prediction import ProbeMaps
from tokenunet.review.bright import bright_asymmetric
from tokenunet.review.calibration import LinearModel, ReviewCalibration, sigmoid
from tokenunet.review.patient import ReviewedPatient

CANDIDATES_FILE = "review_candidates.nii.gz"
SOURCES = ("probe", "probability", "image")
_WORKING_MM = 3.2
"""Voxel size at which candidates are looked for; finer ones take more time and show nothing else."""
_LEAST_ML = 0.2
"""Smallest volume of a candidate in ml."""
_MARGIN_MM = 5.0
"""Margin around the segmentation in which neither the probe nor the image adds candidates: borders are never exact."""
_SEED, _EXTENT = 0.5, 0.3
"""Probability that the probe must reach somewhere in a candidate, and everywhere in it."""
_LOW = 0.1
"""Probability of the whole tumor from which an unsegmented part is a candidate."""
_LEAST_SHARE = 0.1
"""Share of a candidate's voxels from which on a source is named."""
_CLIP = 8.0
"""Largest magnitude of a logit among the features."""


@dataclass(frozen=True)
class ReviewCandidate:
    """Region outside the segmentation that may be tumor.

    Attributes:
        number: Number from 1, by decreasing probability.
        probability: Calibrated probability that it is tumor.
        volume_ml: Volume of the region in ml.
        center: Voxel of the region that is nearest to its centroid, in LPS mm.
        sources: What points to it, in the order of `SOURCES`.
        token: Number of the token that adds most to the probe's logit there, from 1; None if none adds anything, or
            the probe does not point to it.
        token_share: What that token adds to the logit there.
    """

    number: int
    probability: float
    volume_ml: float
    center: Triple
    sources: tuple[str, ...]
    token: int | None
    token_share: float

    def to_json(self) -> dict[str, object]:
        """Return the candidate as in ``run.json``."""
        return {
            "number": self.number,
            "probability": round(self.probability, 3),
            "volume_ml": round(self.volume_ml, 3),
            "center_lps_mm": [round(c, 2) for c in self.center],
            "sources": list(self.sources),
            "token": self.token,
            "token_share": round(self.token_share, 2),
        }


@dataclass(frozen=True)
class Region:
    """Possible candidate with the features from which its probability is computed.

    Attributes:
        label: Value of its voxels in the labelmap.
        features: Features by name.
        sources: What points to it.
    """

    label: int
    features: dict[str, float]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class ReviewCandidates:
    """Listed candidates of one patient.

    Attributes:
        candidates: Candidates by decreasing probability.
        labels: Labelmap (D, H, W) of the candidates' numbers, 0 elsewhere.
        grid: Grid of the labelmap.
    """

    candidates: tuple[ReviewCandidate, ...]
    labels: NDArray[np.uint8]
    grid: Grid


def find_candidates(patient: ReviewedPatient, calibration: ReviewCalibration) -> ReviewCandidates:
    """Find the regions outside the segmentation that are likely to be tumor.

    Args:
        patient: Segmented patient.
        calibration: Calibration of the model.
    """
    labels, regions, grid = possible_candidates(patient)
    ranked = sorted(((_probability(calibration.candidate, region), region) for region in regions), key=lambda r: -r[0])
    listed = [(probability, region) for probability, region in ranked if probability >= calibration.least_probability]
    numbers = np.zeros(labels.max() + 1, np.uint8)
    numbers[[region.label for _, region in listed]] = np.arange(1, len(listed) + 1)
    image = grid.image(numbers[labels])
    candidates = (
        _described(number, probability, region, image, patient.prediction.probe)
        for number, (probability, region) in enumerate(listed, start=1)
    )
    return ReviewCandidates(tuple(candidates), sitk.GetArrayFromImage(image), grid)


def possible_candidates(patient: ReviewedPatient) -> tuple[NDArray[np.uint16], list[Region], Grid]:
    """Return a labelmap (d, h, w) of all regions that some source points to, the regions, and the labelmap's grid."""
    patient = _thinned(patient)
    grid, whole = patient.grid, patient.prediction.probabilities[0]
    distance = _distance_mm(patient.segmented, grid)
    outside = patient.brain & (distance > _MARGIN_MM)
    found: dict[str, NDArray[np.bool_]] = {}
    probe_maps = patient.prediction.probe
    coarse = fine = np.full(whole.shape, -_CLIP, np.float32)
    if probe_maps is not None:
        coarse = _on_grid(probe_maps.logits, probe_maps.grid, grid)
        fine = _on_grid(probe_maps.fine, probe_maps.fine_grid, grid)
        found["probe"] = _reaching(np.where(outside, np.maximum(coarse, fine), -_CLIP), grid)
    found["probability"] = _untouched((whole > _LOW) & patient.brain, patient.segmented)
    found["image"], asymmetry = bright_asymmetric(patient.scans, patient.brain, grid)
    found["image"] &= outside
    union = np.any(list(found.values()), axis=0) & ~patient.segmented
    parts = sitk.RelabelComponent(
        sitk.ConnectedComponent(sitk.GetImageFromArray(union.astype(np.uint8))), int(np.ceil(_LEAST_ML / grid.voxel_ml))
    )
    labels = sitk.GetArrayFromImage(parts).astype(np.uint16)
    maps = {
        "coarse": coarse,
        "fine": fine,
        "probability": np.log(np.clip(whole, 3e-4, 1 - 3e-4) / (1 - np.clip(whole, 3e-4, 1 - 3e-4))),
        "asymmetry": asymmetry,
        **{name: scan for name, scan in patient.scans.items() if name in ("FLAIR", "T1ce")},
    }
    return labels, list(_regions(labels, found, maps, distance, grid)), grid


def _thinned(patient: ReviewedPatient) -> ReviewedPatient:
    """Return the patient with larger voxels."""
    factors = [max(1, round(_WORKING_MM / s)) for s in patient.grid.spacing]

    def mean(values: NDArray) -> sitk.Image:
        return sitk.BinShrink(patient.grid.image(values.astype(np.float32)), factors)

    whole = mean(patient.prediction.probabilities[0])
    return ReviewedPatient(
        {name: sitk.GetArrayFromImage(mean(scan)) for name, scan in patient.scans.items()},
        sitk.GetArrayFromImage(mean(patient.brain)) > 0.5,
        sitk.GetArrayFromImage(mean(patient.segmented)) > 0,
        replace(patient.prediction, probabilities=sitk.GetArrayFromImage(whole)[None]),
        Grid.of(whole),
    )


def _regions(
    labels: NDArray[np.uint16],
    found: Mapping[str, NDArray[np.bool_]],
    maps: Mapping[str, NDArray[np.float32]],
    distance: NDArray[np.float32],
    grid: Grid,
) -> Iterator[Region]:
    order = np.argsort(labels, axis=None, kind="stable")
    starts = np.searchsorted(labels.ravel()[order], np.arange(1, labels.max() + 2))
    for label, (start, end) in enumerate(pairwise(starts), start=1):
        voxels = order[start:end]
        shares = {source: float(mask.ravel()[voxels].mean()) for source, mask in found.items()}
        values = {name: values.ravel()[voxels] for name, values in maps.items()}
        features = {
            "log_ml": float(np.log(len(voxels) * grid.voxel_ml)),
            "distance": float(np.log1p(min(distance.ravel()[voxels].min(), 50.0))),
            **{f"from_{source}": shares.get(source, 0.0) for source in SOURCES},
            **{f"{name}_mean": float(v.mean().clip(-_CLIP, _CLIP)) for name, v in values.items()},
            **{f"{name}_top": float(np.quantile(v, 0.95).clip(-_CLIP, _CLIP)) for name, v in values.items()},
        }
        for name in ("FLAIR_mean", "FLAIR_top", "T1ce_mean", "T1ce_top"):
            features.setdefault(name, 0.0)
        yield Region(label, features, tuple(s for s in SOURCES if shares.get(s, 0.0) >= _LEAST_SHARE))


def _probability(model: LinearModel, region: Region) -> float:
    return sigmoid(model(region.features))


def _described(
    number: int, probability: float, region: Region, numbers: sitk.Image, probe: ProbeMaps | None
) -> ReviewCandidate:
    indices = np.argwhere(sitk.GetArrayViewFromImage(numbers) == number)
    middle = indices[np.square(indices - indices.mean(axis=0)).sum(axis=1).argmin()]
    token, share = None, 0.0
    if probe is not None and "probe" in region.sources:
        inside = Grid.of(numbers).image((sitk.GetArrayViewFromImage(numbers) == number).astype(np.float32))
        weights = sitk.GetArrayFromImage(probe.grid.resample(sitk.SmoothingRecursiveGaussian(inside, 4.0)))
        by_token = (probe.shares[:-1] * weights).sum(axis=(1, 2, 3)) / max(float(weights.sum()), 1e-6)
        if by_token.size and by_token.max() > 0:
            token, share = int(by_token.argmax()) + 1, float(by_token.max())
    return ReviewCandidate(
        number,
        probability,
        len(indices) * Grid.of(numbers).voxel_ml,
        numbers.TransformIndexToPhysicalPoint(middle[::-1].tolist()),
        region.sources,
        token,
        share,
    )


def _distance_mm(segmented: NDArray[np.bool_], grid: Grid) -> NDArray[np.float32]:
    """Return the distance to the segmentation in mm; very large if there is none."""
    if not segmented.any():
        return np.full(segmented.shape, 1e3, np.float32)
    image = grid.image(segmented.astype(np.uint8))
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    return sitk.GetArrayFromImage(distance)


def _reaching(logits: NDArray[np.float32], grid: Grid) -> NDArray[np.bool_]:
    """Return the regions above the lower threshold that reach the higher one."""
    low, high = (float(np.log(p / (1 - p))) for p in (_EXTENT, _SEED))
    image = grid.image(logits.astype(np.float32))
    return sitk.GetArrayFromImage(sitk.DoubleThreshold(image, low, high, 1e6, 1e6)).astype(bool)


def _untouched(likely: NDArray[np.bool_], segmented: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the connected parts of a mask that contain no segmented voxel."""
    either = sitk.GetImageFromArray((likely | segmented).astype(np.uint8))
    parts = sitk.GetArrayFromImage(sitk.ConnectedComponent(either))
    touching = np.unique(parts[segmented])
    kept = np.ones(parts.max() + 1, bool)
    kept[0] = False
    kept[touching] = False
    return kept[parts]


def _on_grid(values: NDArray[np.float32], source: Grid, target: Grid) -> NDArray[np.float32]:
    # Nearest at the rim, where linear interpolation has only one neighbor.
    image = sitk.Resample(
        source.image(values),
        target.size,
        sitk.Transform(),
        sitk.sitkLinear,
        target.origin,
        target.spacing,
        target.direction,
        -_CLIP,
        sitk.sitkFloat32,
        True,
    )
    return sitk.GetArrayFromImage(image)
