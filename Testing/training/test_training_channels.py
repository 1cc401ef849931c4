"""Training on any channels, and the request that the command line and the panel share."""

from pathlib import Path

import pytest
import SimpleITK as sitk
import torch
from tokenunet.bundle.bundle import load_bundle
from tokenunet.cli import main
from tokenunet.core.errors import UsageError
from tokenunet.core.sequences import SEQUENCES
from tokenunet.synthesis import synthetic_patient, write_patient
from tokenunet.training import jobs
from tokenunet.training.config.configuration import TrainingConfiguration
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.request import TrainingRequest

TINY = {
    "epochs": "1",
    "patch_size": "32",
    "spacing": "4",
    "validate_every": "1",
    "workers": "0",
    "precision": "fp32",
    "arguments": '{"channels": [4, 8, 8, 16]}',
}


def test_training_request_survives_its_arguments(tmp_path: Path) -> None:
    request = TrainingRequest(
        tmp_path / "out",
        tmp_path / "in",
        labels="brats2024",
        preset="quick",
        architectures=("unet", "token_unet"),
        channels=("T1ce", "ADC"),
        folds=3,
        only_folds=(0, 2),
        seed=7,
        device="cuda:1",
        settings={"epochs": "3", "initial": str(tmp_path / "w.safetensors")},
    )
    assert TrainingRequest.from_arguments(request.to_arguments()) == request
    resumed = TrainingRequest(tmp_path, resume=True, cluster="local")
    assert TrainingRequest.from_arguments(resumed.to_arguments()) == resumed
    for wrong in (["--folds", "x"], ["--preset", "none"], ["--set", "epochs"], ["--chanels", "T1"]):
        with pytest.raises(UsageError):
            TrainingRequest.from_arguments(["--output", "o", *wrong])


def test_configuration_refuses_channels_that_cannot_be_trained_on() -> None:
    for channels in ("", "T1,T1", "T1,t1", "../x", "T1 ce"):
        with pytest.raises(UsageError, match="cannot be trained on"):
            TrainingConfiguration.from_json({"architecture": "unet", "channels": channels})
    with pytest.raises(UsageError, match="Synthetic patients have T1, T1ce, T2, FLAIR"):
        TrainingConfiguration.from_json(
            {"architecture": "unet", "channels": "T1,T2", "synthetic_patients": 1, "spacing": 4}
        )
    assert TrainingConfiguration.from_json({"architecture": "unet"}).channels == SEQUENCES


def test_three_channels_are_trained_exported_and_segmented(tmp_path: Path) -> None:
    """One of them is none of BraTS's; a fourth scan in the folders is left alone."""
    data = tmp_path / "patients"
    for seed in range(2):
        folder = write_patient(synthetic_patient(seed, spacing=4.0), data)
        t2 = folder / f"{folder.name}_t2.nii.gz"
        t2.rename(folder / f"{folder.name}_adc.nii.gz")
    request = TrainingRequest(
        tmp_path / "experiment", data, preset="quick", channels=("FLAIR", "T1ce", "ADC"), folds=2, settings=TINY
    )
    jobs.begin(tmp_path / "experiment", data, request.plan(), lambda event: None)
    experiment = Experiment(tmp_path / "experiment")
    assert list(experiment.dataset.cases[0].images) == ["FLAIR", "T1ce", "ADC"]
    jobs.train(experiment, torch.device("cpu"), lambda event: None)
    model = tmp_path / "model"
    assert main(["export", str(experiment.folder), "--fold", "0", "--output", str(model)]) == 0
    manifest = load_bundle(model).manifest
    assert manifest.inputs.names == ("FLAIR", "T1ce", "ADC")
    out = tmp_path / "out"
    command = ["segment", "--model", str(model), "--input", str(folder), "--output", str(out), "--device", "cpu"]
    assert main(command) == 0
    labels = sitk.GetArrayFromImage(sitk.ReadImage(out / "labels.nii.gz"))
    fold = next(fold for fold in experiment.jobs() if fold.fold == 0)
    validated = next(iter(fold.predictions.glob("*.nii.gz")))
    assert labels.shape == sitk.GetArrayFromImage(sitk.ReadImage(validated)).shape
