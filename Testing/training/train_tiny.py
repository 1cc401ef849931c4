"""Trains the tiny network in a process of its own, for tests that kill it or start two.

``train_tiny.py FOLDER SETTINGS_AS_JSON [kill SEED TIMES]``. With ``kill`` the training runs in child processes, each of
which is killed with signal 9 at a random moment, before one is left to end.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenunet.training.experiment.fold_folder import FoldFolder, StopWhen
from tokenunet.training.loop.engine import FoldTraining
from tokenunet.training.loop.fabric import end_processes, make_fabric
from training.learning_cases import cached_case, tiny_configuration

CASES, VALIDATED = 5, 2


def fold_folder(folder: Path) -> FoldFolder:
    return FoldFolder(folder / "fold_0", "token_unet_transformer", 0)


def fold_training(
    folder: Path, settings: dict[str, Any], stop: Callable[[], StopWhen | None] = lambda: None
) -> FoldTraining:
    """The training in ``folder``, or what is left of it to do."""
    fabric = make_fabric(torch.device("cpu"))
    cache = Path(tempfile.mkdtemp(dir=folder))
    cases = [cached_case(cache, number) for number in range(CASES + VALIDATED)]
    return FoldTraining(
        fold_folder(folder),
        tiny_configuration(**settings),
        cases[:CASES],
        cases[CASES:],
        seed=3,
        fabric=fabric,
        stop_requested=stop,
        on_step=lambda step, total: None,
    )


def train(folder: Path, settings: dict[str, Any]) -> None:
    """Trains in ``folder``, or goes on there."""
    folder.mkdir(parents=True, exist_ok=True)
    fold_training(folder, settings).run()


def train_and_be_killed(folder: Path, settings: dict[str, Any], seed: int, times: int) -> None:
    """Prints how many children were killed while they trained."""
    fork = multiprocessing.get_context("fork")  # this process has no threads yet, and importing takes seconds
    moments = random.Random(seed)
    killed = 0
    while True:
        child = fork.Process(target=train, args=(folder, settings))
        child.start()
        child.join(moments.uniform(0.1, 0.7) if killed < times else None)
        if child.exitcode is None:
            os.kill(child.pid or 0, signal.SIGKILL)
            child.join()
            killed += 1
        elif child.exitcode == 0:
            break
        else:
            raise SystemExit(f"a resumed training ended with {child.exitcode}")
    print(json.dumps({"killed": killed}))


if __name__ == "__main__":
    place, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
    if "kill" in sys.argv:
        train_and_be_killed(place, settings, int(sys.argv[4]), int(sys.argv[5]))
    else:
        train(place, settings)
        end_processes(make_fabric(torch.device("cpu")))
