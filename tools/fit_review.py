"""Fit the review of a Token-UNet: its probe, the probability of candidates, expected Dice and intervals of volumes.

    python -m tools.fit_review --model Resources/Models/default

The probe is fitted to the frozen features of the first third of the patients, the calibration to the others, half of
whom are perturbed. Written are ``probe.safetensors`` and ``review`` in ``model.json``; the weights stay as they are.
`tools.measure_review` measures the result on other patients. ``--calibrate-only`` keeps the probe and
calibrates again on all patients, as after a change of the rules by which regions are marked. ``--prepared`` takes
a folder of prepared patients instead of making them, which takes most of the time.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from tokenunet.bundle.bundle import ModelBundle, load_bundle, save_review
from tokenunet.core.dice import dice
from tokenunet.core.errors import ModelError
from tokenunet.core.regions import REGIONS
from tokenunet.networks import architecture
from tokenunet.review.calibration import IntervalModel, LinearModel, ReviewCalibration
from tokenunet.review.candidates import possible_candidates
from tokenunet.review.expected_dice import signals
from tokenunet.review.patient import ReviewedPatient

from tools.review_patients import Sample, around, lesions, samples, silenced
from tools.review_probe import fit_probe, logistic

FIRST_SEED = 10 * 10**9
"""Far from the seeds of training, validation, hold-out and all measurements."""
SILENCED_MM = 8.0
"""Distance from a silenced lesion within which nothing else is segmented either."""
LEAST_MISSED_ML = 0.5
"""Smallest lesion that counts as missed."""
MISSED_SHARE = 0.1
"""Share of a lesion that is segmented at most if it counts as missed."""
MOST_SILENCED = 2
"""Number of lesions of a patient that are silenced in turn, the largest first."""
LEAST_TUMOR = 0.25
"""Share of a candidate that must be tumor for it to count as tumor."""
_FALSE_PER_PATIENT = 0.2
"""Mean number of false candidates that are listed; less than the 0.5 that are tolerable, since patients differ."""
_COVERAGE = 0.9
_PENALTY, _PENALTY_OF_SPREAD = 5.0, 30.0
_TINY_ML = 0.1


@dataclass(frozen=True)
class Trial:
    """Possible candidates of one patient, with or without a silenced decoder.

    Attributes:
        natural: Whether the decoder is as it is.
        features: Features of each possible candidate.
        tumor: Whether each of them is tumor.
    """

    natural: bool
    features: list[dict[str, float]]
    tumor: list[bool]


def trials(patient: ReviewedPatient, tumor: NDArray[np.bool_]) -> Iterator[Trial]:
    """Iterate over a patient as segmented, and with its largest lesions silenced in turn."""
    yield _trial(patient, tumor, natural=True)
    for lesion in lesions(tumor, patient.grid.voxel_ml, 1.0)[:MOST_SILENCED]:
        kept = ~around(lesion, SILENCED_MM, patient.grid.spacing) | (tumor & ~lesion)
        yield _trial(silenced(patient, kept), tumor, natural=False)


def _trial(patient: ReviewedPatient, tumor: NDArray[np.bool_], natural: bool) -> Trial:
    labels, regions, grid = possible_candidates(patient)
    shares = tumor_shares(labels, tumor, patient, grid.size)
    return Trial(
        natural, [region.features for region in regions], [shares[region.label] >= LEAST_TUMOR for region in regions]
    )


def tumor_shares(
    labels: NDArray[np.integer], mask: NDArray[np.bool_], patient: ReviewedPatient, size: Sequence[int]
) -> NDArray[np.float64]:
    """Return the share of each region of a thinned labelmap that is in a mask of the patient's grid, by label."""
    factors = [own // thin for own, thin in zip(patient.grid.size, size, strict=True)]
    shares = sitk.GetArrayFromImage(sitk.BinShrink(patient.grid.image(mask.astype(np.float32)), factors))
    counts = np.bincount(labels.ravel(), minlength=labels.max() + 1)
    return np.bincount(labels.ravel(), shares.ravel(), minlength=labels.max() + 1) / np.maximum(counts, 1)


def fit_candidates(done: Sequence[Trial]) -> tuple[LinearModel, float]:
    """Fit the probability of being tumor, and the least one that is listed.

    What the decoder says is learned only where it was not silenced; elsewhere it is replaced by its mean.

    Args:
        done: Trials of the patients of the calibration.
    """
    names = sorted(done[0].features[0] if done[0].features else next(t for t in done if t.features).features[0])
    x = np.array([[f[name] for name in names] for trial in done for f in trial.features], np.float32)
    natural = np.array([trial.natural for trial in done for _ in trial.features])
    decoder = [k for k, name in enumerate(names) if "probability" in name]
    x[np.ix_(~natural, decoder)] = x[np.ix_(natural, decoder)].mean(axis=0)
    y = np.array([tumor for trial in done for tumor in trial.tumor], np.float32)
    weight, bias = logistic(x, y, ridge=3.0, least_deviation=0.3)
    model = LinearModel({name: round(float(w), 5) for name, w in zip(names, weight, strict=True)}, round(bias, 5))
    false = [
        0.5 * (1 + np.tanh(model(features) / 2))
        for trial in done
        for features, tumor in zip(trial.features, trial.tumor, strict=True)
        if not tumor
    ]
    tolerated = int(_FALSE_PER_PATIENT * len(done))
    least = sorted(false, reverse=True)[tolerated] if len(false) > tolerated else 0.0
    return model, round(max(float(least), 0.1), 3)


def fit_interval(values: Sequence[dict[str, float]], targets: Sequence[float]) -> IntervalModel:
    """Fit a linear estimate and an interval around it that covers nine of ten patients.

    The errors of the interval are those for patients that were left out of the estimate, and of that of its spread.

    Args:
        values: Signals of each patient.
        targets: What is to be estimated of each patient.
    """
    names = sorted(values[0])
    x = np.array([[signal[name] for name in names] for signal in values])
    y = np.array(targets)
    errors = y - _left_out(x, y, _PENALTY)
    center = _ridge(x, y, names, _PENALTY)
    log_errors = np.log(np.abs(errors) + 0.05)
    spread = _ridge(x, log_errors, names, _PENALTY_OF_SPREAD)
    scaled = np.sort(errors / np.exp(_left_out(x, log_errors, _PENALTY_OF_SPREAD)))
    # The quantiles of n errors that cover a share of further patients, as in conformal prediction.
    n, tail = len(scaled), (1 - _COVERAGE) / 2
    low = scaled[max(0, int(np.floor(tail * (n + 1))) - 1)]
    high = scaled[min(n - 1, int(np.ceil((1 - tail) * (n + 1))) - 1)]
    return IntervalModel(center, spread, round(float(low), 4), round(float(high), 4))


def _ridge(x: NDArray, y: NDArray, names: Sequence[str], strength: float) -> LinearModel:
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-2
    scaled = (x - mean) / deviation
    beta = np.linalg.solve(scaled.T @ scaled + strength * np.eye(len(names)), scaled.T @ (y - y.mean()))
    weights = beta / deviation
    rounded = {name: round(float(w), 5) for name, w in zip(names, weights, strict=True)}
    return LinearModel(rounded, round(float(y.mean() - weights @ mean), 5))


def _left_out(x: NDArray, y: NDArray, strength: float, folds: int = 10) -> NDArray:
    """Return what is estimated of each patient by a fit without it."""
    names = [str(k) for k in range(x.shape[1])]
    estimates = np.empty(len(y))
    fold = np.arange(len(y)) % folds
    for k in range(folds):
        model = _ridge(x[fold != k], y[fold != k], names, strength)
        for i in np.flatnonzero(fold == k):
            estimates[i] = model(dict(zip(names, x[i], strict=True)))
    return estimates


def targets(patient: ReviewedPatient, truth: NDArray[np.bool_]) -> dict[str, tuple[float, float]]:
    """Return the logit of Dice and the logarithm of the true over the segmented volume, by region."""
    found = {}
    for name, probability, true in zip(REGIONS, patient.prediction.probabilities, truth, strict=True):
        segmented = probability > 0.5
        score = float(np.clip(dice(segmented, true), 0.01, 0.99))
        volumes = (float(mask.sum()) * patient.grid.voxel_ml + _TINY_ML for mask in (true, segmented))
        true_ml, segmented_ml = volumes
        found[name] = (float(np.log(score / (1 - score))), float(np.log(true_ml / segmented_ml)))
    return found


def calibrated(bundle: ModelBundle, patients: Iterable[Sample], calibrated_on: str) -> ReviewCalibration:
    """Calibrate the review of a model with a probe.

    Args:
        bundle: Model with its probe.
        patients: Patients of the calibration.
        calibrated_on: What they are, in words.
    """
    done: list[Trial] = []
    signaled: dict[str, list[dict[str, float]]] = {name: [] for name in REGIONS}
    scores: dict[str, list[float]] = {name: [] for name in REGIONS}
    volumes: dict[str, list[tuple[dict[str, float], float]]] = {name: [] for name in REGIONS}
    for sample in patients:
        patient = sample.reviewed(bundle)
        done += trials(patient, sample.regions[0])
        true = targets(patient, sample.regions)
        for name, signal in signals(patient).items():
            score, change = true[name]
            signaled[name].append(signal)
            scores[name].append(score)
            if sample.regions[REGIONS.index(name)].any():  # no factor makes a volume of nothing
                volumes[name].append((signal, change))
    candidate, least = fit_candidates(done)
    return ReviewCalibration(
        weights_sha256=bundle.manifest.weights_sha256,
        calibrated_on=calibrated_on,
        candidate=candidate,
        least_probability=least,
        dice={name: fit_interval(signaled[name], scores[name]) for name in REGIONS},
        volume={name: fit_interval(*zip(*volumes[name], strict=True)) for name in REGIONS},
    )


def _counted(patients: Iterable[Sample], total: int, what: str) -> Iterator[Sample]:
    for number, sample in enumerate(patients, start=1):
        yield sample
        print(f"{what} {number}/{total}", file=sys.stderr, flush=True)


def main() -> None:
    """Fit the review of a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--patients", type=int, default=180)
    parser.add_argument("--calibrate-only", action="store_true", help="keep the probe, and fit the calibration alone")
    parser.add_argument("--prepared", type=Path, metavar="DIR", help="folder of prepared patients")
    options = parser.parse_args()
    began = time.monotonic()
    bundle = load_bundle(options.model)
    if not architecture(bundle.manifest.architecture).has_attention_maps:
        raise ModelError(f"{bundle.manifest.name} has no tokens to probe.", "Choose a Token-UNet.")
    first = 0 if options.prepared else FIRST_SEED
    of_probe = 0 if options.calibrate_only else options.patients // 3
    space, folder, probe = bundle.manifest.space, options.prepared, bundle.probe
    if not options.calibrate_only:
        probe = fit_probe(bundle, _counted(samples(space, folder, first, of_probe, 0.0), of_probe, "probe"))
    if probe is None:
        raise ModelError(f"{bundle.manifest.name} has no probe to keep.", "Leave out --calibrate-only.")
    rest = options.patients - of_probe
    others = _counted(samples(space, folder, first + of_probe, rest, 0.67), rest, "calibration")
    # A probe is used only with a calibration for the same weights.
    calibration = calibrated(
        replace(bundle, probe=probe), others, f"{rest} synthetic patients, two thirds of them perturbed"
    )
    save_review(options.model, probe, calibration)
    seconds = time.monotonic() - began
    print(f"{options.model}: fitted in {seconds:.0f} s; listed from probability {calibration.least_probability} on")


if __name__ == "__main__":
    main()
