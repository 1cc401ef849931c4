"""Training of the tiny network, here or in other processes."""

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


def train_with_others(folder: Path, settings: dict[str, Any]) -> None:
    """Train in ``folder`` as one of several processes."""
    train(folder, settings)
    end_processes(make_fabric(torch.device("cpu")))


def torchrun_environment(rank: int, port: int) -> dict[str, str]:
    """Return the variables that ``torchrun --nproc_per_node=2`` sets for a process."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    variables = {name: str(number) for name, number in numbers.items()}
    return variables | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
