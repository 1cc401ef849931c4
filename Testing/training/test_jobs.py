"""A whole experiment from the shell: folds, summary, report, refusals, and models made of it."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import SimpleITK as sitk
import tokenunet
import torch
from monai.metrics import DiceMetric
from processes import start_command
from tokenunet.bundle.bundle import load_bundle
from tokenunet.cli import main
from tokenunet.core.errors import ExperimentError
from tokenunet.core.regions import regions_from_labels
from tokenunet.training import jobs
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.summary import SURFACE_MEASURES
from training_fixtures import write_small_patients
from waiting import wait_until

SETTINGS = {
    **{"epochs": 2, "patch_size": "32", "spacing": 4, "validate_every": 1, "workers": 0, "checkpoint_every_s": 0},
    **{"precision": "fp32", "arguments": {"channels": [4, 8, 8, 16]}},
}
TINY = (
    *("--preset", "quick", "--folds", "2"),
    *(f"--set={name}={json.dumps(value) if name == 'arguments' else value}" for name, value in SETTINGS.items()),
)
ARCHITECTURES = "token_unet,unet_star"


def train(*arguments: str | Path) -> int:
    return main(["train", "--device", "cpu", "--progress", "json", *map(str, arguments)])


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_patients(tmp_path_factory.mktemp("patients"), range(11, 15))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, patients: Path) -> Experiment:
    """Trained from Python; commands end with the same bits."""
    folder = tmp_path_factory.mktemp("finished") / "experiment"
    architectures = ARCHITECTURES.split(",")
    options = {"architectures": architectures, "preset": "quick", "folds": 2, "device": "cpu", "settings": SETTINGS}
    assert tokenunet.train(patients, folder, **options) == folder / "report.html"
    return Experiment(folder)


@pytest.fixture
def unfinished(finished: Experiment, tmp_path: Path) -> Experiment:
    """A copy of the experiment as it was before its last fold."""
    folder = tmp_path / "experiment"
    shutil.copytree(finished.folder, folder)
    experiment = Experiment(folder)
    shutil.rmtree(experiment.jobs()[-1].folder)
    return experiment


def test_every_fold_of_every_architecture_is_trained_and_measured(finished: Experiment) -> None:
    jobs = finished.jobs()
    assert [(job.architecture, job.fold) for job in jobs] == [
        ("token_unet", 0),
        ("unet_star", 0),
        ("token_unet", 1),
        ("unet_star", 1),
    ]
    for job in jobs:
        metrics = json.loads(job.metrics.read_text())
        names = [case["case"] for case in metrics["cases"]]
        assert tuple(names) == finished.splits.folds[job.fold].validation
        assert sorted(path.name for path in job.predictions.iterdir()) == [f"{name}.nii.gz" for name in names]
    assert finished.summary.exists()
    assert finished.summary_table.exists()
    assert finished.report.exists()


def test_dice_is_what_monai_and_ten_lines_of_numpy_say(finished: Experiment) -> None:
    job = finished.jobs()[0]
    truth_of = {case.name: case.truth for case in finished.dataset.cases}
    cases = json.loads(job.metrics.read_text())["cases"]
    for case in cases:
        predicted, true = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
            for path in (job.predictions / f"{case['case']}.nii.gz", truth_of[case["case"]])
        )
        members = {"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)}
        for name, labels in members.items():
            p, t = np.isin(predicted, labels), np.isin(true, labels)
            expected = 1.0 if not (p.any() or t.any()) else 2 * (p & t).sum() / (p.sum() + t.sum())
            assert case["dice"][name] == pytest.approx(expected)
        monai = DiceMetric(ignore_empty=False)(
            *(torch.from_numpy(regions_from_labels(array))[None] for array in (predicted, true))
        )
        assert [case["dice"][name] for name in members] == pytest.approx(monai[0].tolist(), abs=1e-6)
        for measure in SURFACE_MEASURES:
            assert set(case[measure]) == {*members, "mean"}


def test_seeds_and_splits_are_the_same_for_every_architecture(finished: Experiment, patients: Path) -> None:
    folds = finished.splits.folds
    assert sorted(name for fold in folds for name in fold.validation) == sorted(p.name for p in patients.iterdir())
    assert all(not set(fold.training) & set(fold.validation) for fold in folds)


def test_what_was_lost_is_trained_again_to_the_same_bits(unfinished: Experiment, finished: Experiment) -> None:
    lost = unfinished.jobs()[-1]
    assert not lost.finished
    assert train("--output", unfinished.folder, "--resume") == 0
    assert lost.last_weights.read_bytes() == finished.jobs()[-1].last_weights.read_bytes()
    assert [line["event"] for line in unfinished.log_lines()][-3:] == ["fold_started", "fold_finished", "finished"]


def test_a_terminated_training_saves_and_is_resumed(tmp_path: Path, patients: Path, finished: Experiment) -> None:
    folder = tmp_path / "experiment"
    command = ["train", "--device", "cpu", "--data", patients, "--output", folder, *TINY]
    with start_command([*command, "--architectures", ARCHITECTURES]) as process:
        first = folder / "token_unet" / "fold_0" / "checkpoints" / "step_00000001.pt"
        wait_until(first.exists)
        with pytest.raises(ExperimentError, match="already being trained"):
            resume_here(folder)
        process.send_signal(signal.SIGTERM)
        message = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "--resume" in message
    experiment = Experiment(folder)
    assert experiment.log_lines()[-1]["event"] == "stopped"
    assert experiment.running_process() is None
    assert train("--output", folder, "--resume") == 0
    for job, same in zip(experiment.jobs(), finished.jobs(), strict=True):
        assert job.last_weights.read_bytes() == same.last_weights.read_bytes()


def resume_here(folder: Path) -> None:
    with Experiment(folder).training_process():
        pass


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--folds", "9"), 3, "4 patients cannot be split into 9 folds"),
        (("--folds", "0"), 3, "4 patients cannot be split into 0 folds"),
        (("--only-folds", "2"), 3, "There is no fold 2"),
        (("--architectures", "vnet"), 2, "no architecture 'vnet'"),
        (("--set", "epochs"), 2, "has no value"),
        (("--set", "epocs=3"), 2, "no setting epocs"),
        (("--device", "cuda:7"), 5, "no device cuda:7"),
    ],
)
def test_impossible_requests_write_nothing(
    arguments: tuple[str, ...], code: int, said: str, patients: Path, tmp_path: Path, capsys: Any
) -> None:
    folder = tmp_path / "experiment"
    assert train("--data", patients, "--output", folder, *TINY, *arguments) == code
    assert said in capsys.readouterr().err
    assert not folder.exists()


def test_impossible_settings_are_refused_before_the_patients_are_read(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "patients").mkdir()
    assert train("--data", tmp_path / "patients", "--output", tmp_path / "experiment", "--set", "epocs=3") == 2
    assert "no setting epocs" in capsys.readouterr().err


def test_a_folder_with_something_in_it_is_left_alone(patients: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert train("--data", patients, "--output", tmp_path, *TINY) == 6
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert train("--output", tmp_path, "--resume") == 3


def test_a_folder_that_cannot_be_made_is_refused(patients: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert train("--data", patients, "--output", tmp_path / "file" / "experiment", *TINY) == 6
    assert "cannot be written" in capsys.readouterr().err


def test_changed_data_are_not_gone_on_with(unfinished: Experiment, patients: Path, capsys: Any) -> None:
    case = unfinished.dataset.cases[0]
    copy = unfinished.folder.parent / "patients"
    shutil.copytree(patients, copy)
    description = (unfinished.folder / "dataset.json").read_text().replace(str(patients), str(copy))
    (unfinished.folder / "dataset.json").write_text(description)
    truth = copy / case.name / f"{case.name}_seg.nii.gz"
    labels = sitk.ReadImage(str(truth))
    labels[60, 60, 40] = 2 if labels[60, 60, 40] != 2 else 1
    sitk.WriteImage(labels, str(truth))
    assert train("--output", unfinished.folder, "--resume") == 3
    assert f"The truth of {case.name} is no longer the file" in capsys.readouterr().err
    assert not unfinished.jobs()[-1].folder.exists()


def test_changed_splits_and_settings_are_not_gone_on_with(unfinished: Experiment, capsys: Any) -> None:
    assert train("--output", unfinished.folder, "--resume", "--set", "epochs=5") == 2
    assert "cannot be changed" in capsys.readouterr().err
    assert train("--output", unfinished.folder, "--resume", "--seed", "5") == 2
    splits = json.loads((unfinished.folder / "splits.json").read_text())
    splits["folds"][0]["validation"].pop()
    (unfinished.folder / "splits.json").write_text(json.dumps(splits))
    assert train("--output", unfinished.folder, "--resume") == 3
    assert "splits.json" in capsys.readouterr().err


def test_a_fold_becomes_a_model(finished: Experiment, tmp_path: Path, capsys: Any) -> None:
    export = ["export", str(finished.folder), "--architecture", "token_unet", "--output", str(tmp_path / "model")]
    assert main([*export, "--fold", "1"]) == 0
    bundle = load_bundle(tmp_path / "model")
    assert bundle.manifest.spacing == (4.0, 4.0, 4.0)
    weights = safetensors.torch.load_file(finished.fold("token_unet", 1).last_weights)
    for name, tensor in bundle.build().state_dict().items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-3, atol=1e-4)
    metrics = json.loads(finished.fold("token_unet", 1).metrics.read_text())
    assert bundle.manifest.training["validation_dice"] == metrics["mean"]
    assert main(export) == 6
    assert "is not empty" in capsys.readouterr().err


def test_all_folds_become_an_ensemble_that_is_found_by_name(
    finished: Experiment, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setenv("TOKENUNET_MODELS", str(tmp_path))
    assert main(["export", str(finished.folder)]) == 2
    assert main(["export", str(finished.folder), "--architecture", "unet_star"]) == 0
    capsys.readouterr()
    assert main(["models", "list"]) == 0
    assert "experiment-unet_star" in capsys.readouterr().out
    assert load_bundle(tmp_path / "experiment-unet_star").manifest.members == 2


def test_unfinished_folds_are_not_exported(unfinished: Experiment, tmp_path: Path, capsys: Any) -> None:
    export = ["export", str(unfinished.folder), "--architecture", "unet_star", "--output", str(tmp_path / "model")]
    assert main([*export, "--fold", "1"]) == 3
    assert "no finished fold 1" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_packages_that_are_not_installed_are_named(patients: Path, tmp_path: Path) -> None:
    without = "import sys; sys.modules['lightning_fabric'] = None; from tokenunet.cli import main; sys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-c", without, "train", "--data", str(patients), "--output", str(tmp_path / "experiment")],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert 'pip install "tokenunet[train]"' in result.stderr
    assert not (tmp_path / "experiment").exists()


@pytest.mark.parametrize("name", ["/etc", "../../elsewhere", "", 3])
def test_an_experiment_whose_names_lead_elsewhere_is_refused(tmp_path: Path, name: object) -> None:
    (tmp_path / "experiment.json").write_text(json.dumps({"format": 1, "architectures": [name]}))
    with pytest.raises(ExperimentError, match="invalid name"):
        Experiment(tmp_path)


def test_resume_finds_moved_data_by_content(unfinished: Experiment, patients: Path, tmp_path: Path) -> None:
    before = unfinished.dataset
    moved = tmp_path / "moved"
    shutil.copytree(patients, moved / "deeper")
    first = sorted((moved / "deeper").iterdir())[0]
    first.rename(first.with_name("another name"))
    values = {**unfinished.dataset_values}
    text = json.dumps(values).replace(str(patients), str(tmp_path / "gone"))
    (unfinished.folder / "dataset.json").write_text(text)
    with pytest.raises(ExperimentError, match="gone") as caught:
        jobs.resume(unfinished.folder, {}, lambda event: None)
    assert "--data" in caught.value.hint
    jobs.resume(unfinished.folder, {}, lambda event: None, moved)
    after = Experiment(unfinished.folder).dataset
    assert [(c.name, c.patient) for c in after.cases] == [(c.name, c.patient) for c in before.cases]
    assert all(s.path.is_relative_to(moved) for c in after.cases for s in c.images.values())
    jobs.resume(unfinished.folder, {}, lambda event: None)  # the new place is remembered


def test_resume_refuses_moved_data_that_changed(unfinished: Experiment, patients: Path, tmp_path: Path) -> None:
    before = (unfinished.folder / "dataset.json").read_text()
    shutil.copytree(patients, tmp_path / "moved")
    path = next(path for path in sorted((tmp_path / "moved").rglob("*")) if "t2" in path.name)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ExperimentError, match=path.name):
        jobs.resume(unfinished.folder, {}, lambda event: None, tmp_path / "moved")
    assert (unfinished.folder / "dataset.json").read_text() == before
