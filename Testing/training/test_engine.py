"""One fold: what is learned, what is logged, and what stopping and killing leave behind."""

import math
import os
import random
import signal
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from processes import ForkedProcess
from tokenunet.core.errors import Cancelled, ExperimentError, OutputError, TrainingError
from tokenunet.training.experiment.fold_folder import FoldFolder, StopWhen
from tokenunet.training.loop import engine
from tokenunet.training.loop.checkpoint import load_newest
from tokenunet.training.loop.engine import FoldTraining
from tokenunet.training.loop.optimization import learning_rate
from training.learning_cases import tiny_configuration
from training.train_tiny import fold_folder, fold_training, torchrun_environment, train, train_with_others
from waiting import wait_until


def training(folder: Path, stop: Any = lambda: None, **settings: Any) -> FoldTraining:
    folder.mkdir(exist_ok=True)
    return fold_training(folder, settings, stop)


def weights_of(fold: FoldFolder) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(fold.last_weights)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def steps_of(fold: FoldFolder) -> list[int]:
    return [line["step"] for line in fold.log_lines() if line["event"] == "step"]


def newest_checkpoint(folder: Path) -> str:
    return max((path.name for path in fold_folder(folder).checkpoints.glob("step_*.pt")), default="")


def without_times(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    measured = ("time", "seconds", "data_seconds", "peak_memory_bytes")
    return [{name: value for name, value in line.items() if name not in measured} for line in lines]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> FoldFolder:
    folder = tmp_path_factory.mktemp("uninterrupted")
    training(folder).run()
    return fold_folder(folder)


def test_loss_falls_and_everything_is_logged(uninterrupted: FoldFolder) -> None:
    lines = uninterrupted.log_lines()
    assert lines[0]["event"] == "started"
    assert lines[0]["steps_per_epoch"] == 3
    assert steps_of(uninterrupted) == list(range(1, 10))
    epochs = [line["loss"] for line in lines if line["event"] == "epoch"]
    assert epochs[-1] < epochs[0]
    for epoch, loss in enumerate(epochs, start=1):
        steps = [line["loss"] for line in lines if line["event"] == "step" and line["epoch"] == epoch]
        assert loss == pytest.approx(np.mean(steps))
    validations = [line for line in lines if line["event"] == "validation"]
    assert [line["epoch"] for line in validations] == [1, 2, 3]
    assert len(list(uninterrupted.checkpoints.glob("*.pt"))) == 2
    assert list(uninterrupted.tensorboard.glob("events*"))


def test_learning_rate_rises_and_falls_to_nothing_along_a_cosine() -> None:
    configuration = tiny_configuration(learning_rate=0.1, warm_up_steps=4)
    rates = [learning_rate(configuration, step, 24) for step in range(25)]
    assert rates[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert rates[14] == pytest.approx(0.05)
    assert rates[24] == pytest.approx(0)
    assert rates[4:] == sorted(rates[4:], reverse=True)


def gradient_of_one_step(folder: Path, **settings: Any) -> dict[str, torch.Tensor]:
    """What SGD without momentum moves the weights by, at a rate of 1."""
    sgd = {"optimizer": "sgd", "momentum": 0.0, "learning_rate": 1.0, "epochs": 1, "average_decay": 0.0}
    run = training(folder, patches_per_case=4, **(sgd | settings))
    before = {name: tensor.clone() for name, tensor in run.state.trained_network.state_dict().items()}
    run.run()
    return {name: before[name] - after for name, after in weights_of(fold_folder(folder)).items()}


def test_accumulated_gradients_are_those_of_the_large_batch(tmp_path: Path) -> None:
    accumulated = gradient_of_one_step(tmp_path / "a", batch_size=1, accumulation=20)
    at_once = gradient_of_one_step(tmp_path / "b", batch_size=20, accumulation=1)
    longest = max(float(g.abs().max()) for g in at_once.values())
    assert longest > 1e-3
    for name, gradient in at_once.items():
        torch.testing.assert_close(accumulated[name], gradient, rtol=1e-5, atol=1e-5 * longest)


def test_two_processes_move_the_weights_as_one_does(tmp_path: Path) -> None:
    settings = {"accumulation": 4, "epochs": 2, "optimizer": "sgd", "momentum": 0.0}
    training(tmp_path / "one", **settings).run()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ranks = [os.environ | torchrun_environment(rank, port) for rank in range(2)]
    arguments = [tmp_path / "two", settings]
    with ForkedProcess(train_with_others, arguments, ranks[0]) as first:
        with ForkedProcess(train_with_others, arguments, ranks[1]) as second:
            assert second.communicate(timeout=120)[0] == ""
        errors = first.communicate(timeout=120)[1]
    assert (first.returncode, second.returncode) == (0, 0), errors
    one, two = (fold_folder(tmp_path / name) for name in ("one", "two"))
    assert steps_of(one) == steps_of(two) == [1, 2, 3, 4]
    for name, weights in weights_of(one).items():
        torch.testing.assert_close(weights_of(two)[name], weights, rtol=1e-5, atol=1e-6)
    losses = [[line["loss"] for line in fold.log_lines() if line["event"] == "step"] for fold in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    dice = [[line["dice"] for line in fold.log_lines() if line["event"] == "validation"] for fold in (one, two)]
    assert dice[0] == [pytest.approx(values, abs=1e-4) for values in dice[1]]


@pytest.mark.slow
def test_killed_eight_times_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    settings = {"epochs": 40, "validate_every": 20}
    training(tmp_path / "whole", **settings).run()
    moments = random.Random(7)
    place = tmp_path / "killed"
    for attempt in range(8):
        with ForkedProcess(train, [place, settings]) as process:
            begun = newest_checkpoint(place)
            if attempt % 4:  # else while it starts
                wait_until(lambda begun=begun: newest_checkpoint(place) > begun)
            time.sleep(moments.uniform(0, 0.1))
            process.kill()
        assert process.returncode == -signal.SIGKILL
    training(place, **settings).run()
    whole, killed = (fold_folder(tmp_path / name) for name in ("whole", "killed"))
    assert same(weights_of(killed), weights_of(whole))
    assert without_times(killed.log_lines()) == without_times(whole.log_lines())
    assert steps_of(killed) == list(range(1, 121))


@pytest.mark.parametrize("when", ["now", "epoch"])
def test_stopped_and_resumed_it_ends_with_the_same_bits(
    when: StopWhen, tmp_path: Path, uninterrupted: FoldFolder
) -> None:
    asked: list[int] = []

    def stop() -> StopWhen | None:
        asked.append(0)
        return when if len(asked) > 4 else None

    with pytest.raises(Cancelled, match="resume"):
        training(tmp_path, stop=stop).run()
    fold = fold_folder(tmp_path)
    assert not fold.last_weights.exists()
    assert steps_of(fold)[-1] in ({"now": (2, 3), "epoch": (3, 6)}[when])
    training(tmp_path).run()
    assert same(weights_of(fold), weights_of(uninterrupted))
    assert without_times(fold.log_lines()) == without_times(uninterrupted.log_lines())


def test_patches_made_in_the_background_are_the_same(tmp_path: Path, uninterrupted: FoldFolder) -> None:
    training(tmp_path, workers=1).run()
    assert same(weights_of(fold_folder(tmp_path)), weights_of(uninterrupted))


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, uninterrupted: FoldFolder) -> None:
    answers = iter([None] * 7 + ["now"])
    with pytest.raises(Cancelled):
        training(tmp_path, stop=lambda: next(answers)).run()
    fold = fold_folder(tmp_path)
    newest = max(fold.checkpoints.iterdir())
    damaged = bytearray(newest.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    newest.write_bytes(damaged)
    training(tmp_path).run()
    assert same(weights_of(fold), weights_of(uninterrupted))


def test_when_all_checkpoints_are_damaged_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "step_00000001.pt").write_bytes(b"no zip archive")
    with pytest.raises(TrainingError, match="damaged"):
        load_newest(tmp_path)


def test_another_configuration_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        training(tmp_path, stop=lambda: "now").run()
    before = fold_folder(tmp_path).log.read_bytes()
    with pytest.raises(ExperimentError, match="another configuration"):
        training(tmp_path, learning_rate=0.5).run()
    assert fold_folder(tmp_path).log.read_bytes() == before


def test_a_step_without_a_finite_gradient_is_left_out_and_logged(tmp_path: Path, monkeypatch: Any) -> None:
    run = training(tmp_path, epochs=1)
    calls: list[int] = []
    forward = engine.RegionLoss.forward

    def sometimes_infinite(self: Any, logits: torch.Tensor, regions: torch.Tensor) -> torch.Tensor:
        calls.append(0)
        return forward(self, logits, regions) * (math.inf if len(calls) == 3 else 1)

    monkeypatch.setattr(engine.RegionLoss, "forward", sometimes_infinite)
    run.run()
    fold = fold_folder(tmp_path)
    assert [line["step"] for line in fold.log_lines() if line["event"] == "skipped_step"] == [2]
    assert all(torch.isfinite(tensor).all() for tensor in weights_of(fold).values())


def test_a_training_that_only_diverges_ends_with_a_sentence(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(engine.RegionLoss, "forward", lambda self, logits, regions: logits.sum() * math.nan)
    with pytest.raises(TrainingError, match="20 steps in a row"):
        training(tmp_path, epochs=100, validate_every=100).run()


def test_a_dead_data_process_ends_with_a_sentence_and_can_be_resumed(
    tmp_path: Path, monkeypatch: Any, uninterrupted: FoldFolder
) -> None:
    import psutil

    def kill_children() -> None:
        for child in psutil.Process().children():
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()

    with pytest.raises(TrainingError, match="loads training patches died"):
        training(tmp_path, stop=kill_children, workers=1).run()
    training(tmp_path).run()
    assert same(weights_of(fold_folder(tmp_path)), weights_of(uninterrupted))


def test_a_full_disk_ends_with_a_sentence_and_can_be_resumed(
    tmp_path: Path, monkeypatch: Any, uninterrupted: FoldFolder
) -> None:
    # A stand-in for the disk: the third checkpoint does not fit on it any more.
    import errno

    from tokenunet.io import files

    written: list[int] = []

    def fsync(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(files.os, "fsync", fsync)
        with pytest.raises(OutputError, match="No space left"):
            training(tmp_path).run()
    training(tmp_path).run()
    fold = fold_folder(tmp_path)
    assert same(weights_of(fold), weights_of(uninterrupted))
    assert without_times(fold.log_lines()) == without_times(uninterrupted.log_lines())
