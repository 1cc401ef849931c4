"""Training without data from the shell: two stages, killed and resumed, exported."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from processes import start_command
from tokenunet.bundle.bundle import load_bundle
from tokenunet.cli import main
from tokenunet.data import read_scans
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.networks import build_network
from tokenunet.preprocessing import prepare
from tokenunet.training.experiment.create import create_synthetic_experiment
from tokenunet.training.experiment.experiment import Experiment, ExperimentPlan
from tokenunet.training.experiment.fold_folder import append_log
from tokenunet.training.experiment.progress import ExperimentProgress, FoldState
from tokenunet.training.report.page import training_report
from training.learning_cases import TINY_NETWORK
from waiting import wait_until

TINY = (
    *("--preset", "synthetic", "--set", "spacing=4", "--set", "epochs=2", "--set", "synthetic_patients=2"),
    *("--set", "validation_patients=2", "--set", "warm_up_steps=1", "--set", "checkpoint_every_s=0"),
    *("--set", "precision=fp32", "--set", "workers=0", "--set", f"arguments={json.dumps(TINY_NETWORK)}"),
)
COARSE, FINE = "token_unet_transformer_coarse", "token_unet_transformer_fine"


def train(*arguments: str | Path) -> int:
    return main(["train", "--device", "cpu", "--progress", "json", *map(str, arguments)])


def weights(path: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    folder = tmp_path_factory.mktemp("synthetic") / "experiment"
    assert train("--output", folder, *TINY) == 0
    return Experiment(folder)


def test_both_stages_are_trained_and_measured_on_the_same_synthetic_patients(finished: Experiment) -> None:
    assert [job.architecture for job in finished.jobs()] == [COARSE, FINE]
    for job in finished.jobs():
        lines = job.log_lines()
        assert [line["step"] for line in lines if line["event"] == "step"] == [1, 2, 3, 4]
        assert [line["epoch"] for line in lines if line["event"] == "validation"] == [1, 2]
        metrics = json.loads(job.metrics.read_text())
        assert [case["case"] for case in metrics["cases"]] == ["synthetic_1000000000", "synthetic_1000000001"]
    assert finished.log_lines()[-1]["event"] == "finished"


@pytest.mark.slow
def test_the_fine_stage_begins_with_the_coarse_ones_averaged_weights(tmp_path: Path) -> None:
    settings = {"epochs": 1, "coarse.synthetic_patients": 10, "fine.synthetic_patients": 1, "validation_patients": 1}
    settings |= {"coarse.learning_rate": 1e-2, "fine.learning_rate": 1e-9}
    assert train("--output", tmp_path / "experiment", *TINY, *(f"--set={n}={v}" for n, v in settings.items())) == 0
    coarse, fine = Experiment(tmp_path / "experiment").jobs()
    losses = [line["loss"] for line in coarse.log_lines() if line["event"] == "step"]
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])
    last, begun = weights(coarse.last_weights), weights(fine.last_weights)
    for name, tensor in begun.items():
        torch.testing.assert_close(tensor, last[name], rtol=0, atol=1e-6)
    torch.manual_seed(0)
    fresh = build_network("token_unet_transformer", **TINY_NETWORK).state_dict()
    assert max(float((fresh[name] - tensor).abs().max()) for name, tensor in last.items()) > 1e-3
    state = torch.load(max(coarse.checkpoints.iterdir()), weights_only=True)
    assert any(not torch.equal(state["network"][name], last[name]) for name in last), "the kept weights are averaged"


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_bits(finished: Experiment, tmp_path: Path) -> None:
    folder = tmp_path / "experiment"
    command = ["train", "--device", "cpu", "--output", folder]
    moments = (
        lambda: (folder / "experiment.json").exists(),  # while validation patients are made
        lambda: (folder / COARSE / "fold_0" / "checkpoints" / "step_00000002.pt").exists(),
        lambda: (folder / FINE / "fold_0" / "checkpoints" / "step_00000003.pt").exists(),
    )
    for number, reached in enumerate(moments):
        arguments = ("--resume",) if number else TINY
        with start_command([*command, *arguments]) as process:
            wait_until(lambda reached=reached, process=process: reached() or process.poll() is not None)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert not Experiment(folder).jobs()[-1].finished
    assert train("--output", folder, "--resume", "--set", "workers=1") == 0
    for job, same in zip(Experiment(folder).jobs(), finished.jobs(), strict=True):
        assert job.last_weights.read_bytes() == same.last_weights.read_bytes()
        assert job.best_weights.read_bytes() == same.best_weights.read_bytes()
        assert [line["loss"] for line in job.log_lines() if line["event"] == "step"] == [
            line["loss"] for line in same.log_lines() if line["event"] == "step"
        ]


def test_a_moved_experiment_goes_on_and_makes_lost_patients_again(finished: Experiment, tmp_path: Path) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(finished.folder, folder)
    for lost in ("patients", "cache", FINE):
        shutil.rmtree(folder / lost)
    assert train("--output", folder, "--resume") == 0
    moved, before = (experiment.jobs()[-1] for experiment in (Experiment(folder), finished))
    assert moved.last_weights.read_bytes() == before.last_weights.read_bytes()
    assert all(
        case.truth is not None and case.truth.is_relative_to(folder) for case in Experiment(folder).dataset.cases
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "."), "--data cannot be given with --preset synthetic"),
        (("--folds", "5"), "--folds cannot be given with --preset synthetic"),
        (("--only-folds", "0"), "--only-folds cannot be given with --preset synthetic"),
        (("--cluster", "local"), "--cluster cannot be given with --preset synthetic"),
        (("--set", "initial=absent.safetensors"), "absent.safetensors contains no weights of this network"),
        (("--set", "epochs=0"), "No stage is left"),
        (("--preset", "robust"), "No patients were given"),
    ],
)
def test_impossible_requests_write_nothing(arguments: tuple[str, ...], said: str, tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "experiment"
    assert train("--output", folder, *TINY, *arguments) == 2
    assert said in capsys.readouterr().err
    assert not folder.exists()


def test_stages_are_not_trained_side_by_side_on_a_cluster(finished: Experiment, capsys: Any) -> None:
    assert train("--output", finished.folder, "--resume", "--cluster", "local") == 2
    assert "cannot be trained in parallel" in capsys.readouterr().err


def test_weights_that_exist_are_begun_with(finished: Experiment, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    shutil.copy(finished.jobs()[0].last_weights, tmp_path / "weights.safetensors")
    monkeypatch.chdir(tmp_path)
    only_fine = ("--set", "coarse.epochs=0", "--set", "epochs=1", "--set", "learning_rate=1e-9")
    begin = ("--output", "experiment", *TINY, *only_fine, "--set", "initial=weights.safetensors")
    assert train(*begin, "--set", "arguments={}") == 2
    assert "contains no weights of this network" in capsys.readouterr().err
    assert train(*begin) == 0
    [job] = Experiment(tmp_path / "experiment").jobs()
    given = weights(tmp_path / "weights.safetensors")
    for name, tensor in weights(job.last_weights).items():
        torch.testing.assert_close(tensor, given[name], rtol=0, atol=1e-6)


def test_the_last_weights_become_a_model_that_says_how_it_was_made(finished: Experiment, tmp_path: Path) -> None:
    arguments = ["export", str(finished.folder), "--output", str(tmp_path / "model")]
    assert main(arguments) == 2, "there are two to choose from"
    assert main([*arguments, "--architecture", FINE, "--title", "Tiny"]) == 0
    bundle = load_bundle(tmp_path / "model")
    job = finished.jobs()[-1]
    metrics = json.loads(job.metrics.read_text())
    training = bundle.manifest.training
    assert (bundle.manifest.name, bundle.manifest.architecture) == ("Tiny", "token_unet_transformer")
    assert bundle.manifest.spacing == (4.0, 4.0, 4.0)
    assert "synthetic patients only" in bundle.manifest.intended_use
    assert training["data"] == "synthetic patients"
    assert training["settings"]["learning_rate"] == 6e-4
    assert training["settings"]["initial"] == job.last_weights.name, "and not where it lay"
    assert training["synthetic_validation_dice"] == {name: metrics["mean"][name] for name in ("WT", "TC", "ET")}
    assert training["validation_cases"] == 2
    last = weights(job.last_weights)
    for name, tensor in bundle.build().state_dict().items():
        torch.testing.assert_close(tensor, last[name], rtol=1e-3, atol=1e-4)
    prepared = prepare(read_scans(finished.dataset.cases[0]), bundle.manifest.space)
    prediction, execution = predict(prepared, bundle, InferenceOptions(device="cpu"))
    assert execution.mode == "single_pass"
    assert prediction.probabilities.shape == (3, *prepared.brain.shape)


def test_the_report_says_what_was_measured(finished: Experiment) -> None:
    page = training_report(finished)
    assert "which are synthetic and drawn from wider ranges" in page
    assert "There is no picture of attention maps" not in page


def test_progress_knows_how_much_longer_a_fine_step_takes(tmp_path: Path) -> None:
    plan = ExperimentPlan(
        "synthetic", ("token_unet_transformer",), 1, (0,), 0, {"synthetic_patients": 10, "epochs": 4, "fine.spacing": 1}
    )
    experiment = create_synthetic_experiment(tmp_path / "experiment", plan)
    progress = ExperimentProgress(experiment)
    assert progress.fraction == 0
    assert progress.seconds_left is None
    coarse = experiment.jobs()[0]
    coarse.folder.mkdir(parents=True)
    append_log(coarse.log, {"event": "started", "total_epochs": 4, "steps_per_epoch": 10})
    append_log(coarse.log, {"event": "step", "step": 20, "seconds": 2.0, "peak_memory_bytes": 0})
    progress.update()
    assert [progress.state(fold) for fold in progress.folds] == [FoldState.INTERRUPTED, FoldState.WAITING]
    assert progress.fraction == pytest.approx(20 / (40 + 8 * 40))
    assert progress.seconds_left == pytest.approx(20 * 2 + 40 * 16)
