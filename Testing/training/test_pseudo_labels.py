"""Labels that a model makes for scans without any, and the training that uses them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dataset_fixtures import write_patient_folder
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.bundle.bundle import ModelBundle, load_bundle
from tokenunet.cli import adapt, main
from tokenunet.core.errors import DatasetError, NoConfidentScansError
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import NCR
from tokenunet.data import read_dataset, read_truth
from tokenunet.training import pseudo_labels
from tokenunet.training.pseudo_labels import TABLE, doubt, write_pseudo_labels
from tokenunet.training.request import TrainingRequest

FOUND = {"sure": 0.97, "also_sure": 0.9, "doubtful": 0.6, "nothing": 0.01}
"""Probability of tumor that the model of these tests gives in half of each scan."""


@pytest.fixture
def bundle(tmp_path: Path) -> ModelBundle:
    return load_bundle(small_bundle(tmp_path / "tiny", replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0))))


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Scans without labels, and a model that is as sure of them as `FOUND` says."""
    for seed, name in enumerate(FOUND):
        (write_patient_folder(tmp_path / "scans", name, seed) / f"{name}_seg.nii").unlink()
    answers = iter([FOUND[case.name] for case in read_dataset(tmp_path / "scans").cases])

    def predict(prepared, bundle, options):
        probabilities = np.zeros((3, *prepared.brain.shape), np.float32)
        probabilities[:2, : prepared.brain.shape[0] // 2] = next(answers)
        return Prediction(probabilities), None

    monkeypatch.setattr(pseudo_labels, "predict", predict)
    return tmp_path / "scans"


def test_pseudo_labels_are_written_for_confident_results_only(tmp_path: Path, scans: Path, bundle: ModelBundle) -> None:
    used = write_pseudo_labels(scans, tmp_path / "labels", bundle, "cpu", lambda event: None)
    assert sorted(used) == ["also_sure", "sure"]
    cases = read_dataset(tmp_path / "labels" / TABLE).cases
    assert sorted(case.name for case in cases) == sorted(used)
    truth = read_truth(cases[0])
    assert cases[0].images["T1"].path.parent == scans / "also_sure"
    labels = sitk.GetArrayFromImage(truth)
    assert set(np.unique(labels)) == {0, NCR} and 0.2 < (labels == NCR).mean() < 0.8


def test_pseudo_labels_need_two_confident_results_and_all_sequences(
    tmp_path: Path, scans: Path, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pseudo_labels, "MOST_DOUBT", -1.0)
    with pytest.raises(NoConfidentScansError, match="Only 0 of the 4 scans"):
        write_pseudo_labels(scans, tmp_path / "labels", bundle, "cpu", lambda event: None)
    assert not (tmp_path / "labels" / TABLE).exists()
    (scans / "sure" / "sure_flair.nii").unlink()
    with pytest.raises(DatasetError, match="sure has no FLAIR"):
        write_pseudo_labels(scans, tmp_path / "labels", bundle, "cpu", lambda event: None)


def test_doubt_counts_doubtful_voxels_per_marked_one() -> None:
    probabilities = np.zeros((3, 2, 2, 2), np.float32)
    probabilities[0].flat[:6] = (0.9, 0.9, 0.7, 0.6, 0.3, 0.1)
    assert doubt(Prediction(probabilities)) == pytest.approx(3 / 4)


def test_adapt_continues_from_the_shipped_model_on_the_confident_scans(
    tmp_path: Path, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[TrainingRequest] = []
    monkeypatch.setattr(adapt, "train", lambda request, progress, on_event: requests.append(request))
    assert main(["adapt", str(scans), "--output", str(tmp_path / "out"), "--epochs", "2"]) == 0
    (request,) = requests
    assert request.preset == "few_shot" and request.folds == 2 and request.only_folds == (0,)
    assert request.settings == {"epochs": "2"}
    assert request.data == tmp_path / "out" / "pseudo_labels" / TABLE and request.data.exists()
