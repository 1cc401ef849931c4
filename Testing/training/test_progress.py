"""An experiment's progress as read from its folder while it changes."""

import json
from pathlib import Path

import pytest
from tokenunet.training.experiment.progress import ExperimentProgress, FoldState, LogTail
from training_fixtures import EPOCHS, fabricated_experiment


def test_lines_are_given_once_and_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    tail = LogTail(path)
    assert tail.new_lines() == []
    path.write_text('{"n": 1}\n{"n": ')
    assert tail.new_lines() == [{"n": 1}]
    assert tail.new_lines() == []
    with path.open("a") as file:
        file.write("2}\n")
    assert tail.new_lines() == [{"n": 2}]


def test_a_log_that_was_cut_back_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"n": 1}\n{"n": 2}\n{"n": 3}\n')
    tail = LogTail(path)
    tail.new_lines()
    path.write_text('{"n": 1}\n')
    assert tail.new_lines() == [{"n": 1}]


def test_long_logs_come_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps({"n": n}) + "\n" for n in range(100)))
    tail = LogTail(path, bytes_at_once=100)
    pieces = [tail.new_lines()]
    assert tail.behind
    while tail.behind:
        pieces.append(tail.new_lines())
    assert [line["n"] for piece in pieces for line in piece] == list(range(100))


@pytest.mark.parametrize("running", [True, False])
def test_states_and_what_is_left(tmp_path: Path, running: bool) -> None:
    experiment = fabricated_experiment(tmp_path / "experiment", ("unet",), 4, finished=2)
    progress = ExperimentProgress(experiment)
    if running:
        with experiment.training_process():
            progress.update()
    else:
        progress.update()
    begun = FoldState.TRAINING if running else FoldState.INTERRUPTED
    assert [progress.state(fold) for fold in progress.folds] == [*[FoldState.FINISHED] * 2, begun, FoldState.WAITING]
    assert [fold.epoch for fold in progress.folds] == [EPOCHS, EPOCHS, EPOCHS // 2, 0]
    assert progress.fraction == pytest.approx(2.5 / 4)
    assert progress.seconds_left == pytest.approx(1.5 * 2 * EPOCHS * 0.5, abs=0.5)
    assert not progress.finished
