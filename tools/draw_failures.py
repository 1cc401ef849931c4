"""Draw synthetic patients in which the default model fails, for MODEL_CARD.md.

Usage: python -m tools.draw_failures OUTPUT_FOLDER
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenunet.bundle.bundle import ModelBundle, load_bundle
from tokenunet.bundle.store import DEFAULT_MODEL, find_model
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.evaluation.evidence_figures import draw_contours
from tokenunet.evaluation.holdout import tumor_patients
from tokenunet.evaluation.real import ContourView
from tokenunet.evaluation.segmented import brats_scores, true_regions
from tokenunet.evaluation.synthetic_cases import synthetic_study
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.preprocessing import prepare
from tokenunet.synthesis import synthetic_patient


@dataclass(frozen=True)
class Failure:
    """A patient of the hold-out.

    Attributes:
        name: What fails; name of the picture.
        number: Place of the patient in the hold-out, from 0.
        shown: Sequences to draw.
        missing: Sequence that the model does not get.
    """

    name: str
    number: int
    shown: tuple[SequenceName, ...] = ("T1ce", "FLAIR")
    missing: SequenceName | None = None


FAILURES = (
    Failure("edema_as_core", 20),
    Failure("core_like_edema", 2),
    Failure("margin", 28),
    Failure("without_flair", 9, ("T1ce", "T2"), "FLAIR"),
)


def failure_view(failure: Failure, bundle: ModelBundle) -> ContourView:
    """Segment the patient, print Dice, and return the axial slice with the most wrong voxels."""
    drawn = tumor_patients(failure.number + 1)[failure.number]
    study, labels = synthetic_study(synthetic_patient(drawn.seed, bundle.manifest.spacing[0], kind=drawn.kind))
    prepared = prepare(study, bundle.manifest.space)
    if failure.missing is not None:
        prepared.tensor[SEQUENCES.index(failure.missing)] = 0
    predicted = predict(prepared, bundle, InferenceOptions(device="cpu"))[0].probabilities > 0.5
    truth = true_regions(labels, prepared.grid)
    print(failure.name, drawn.kind.value, brats_scores(predicted, truth, prepared.grid))
    z = int((truth != predicted).sum(axis=(0, 2, 3)).argmax())
    rows, columns = (slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(prepared.brain[z]))
    scans = {name: prepared.tensor[SEQUENCES.index(name), z, rows, columns].numpy() for name in failure.shown}
    return ContourView(failure.name, scans, truth[:, z, rows, columns], predicted[:, z, rows, columns])


def main(output: Path) -> None:
    """Write ``failure_NAME.png`` for each of `FAILURES`."""
    bundle = load_bundle(find_model(DEFAULT_MODEL))
    for failure in FAILURES:
        (output / f"failure_{failure.name}.png").write_bytes(draw_contours(failure_view(failure, bundle)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
