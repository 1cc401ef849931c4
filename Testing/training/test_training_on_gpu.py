"""Training on a GPU that this computer does not have, by a stand-in."""

from pathlib import Path

import pytest
import torch
from pretended_gpu import PretendedGPU
from training import train_tiny
from training.train_tiny import fold_folder, fold_training


def test_training_mixes_no_tensors_of_a_gpu_and_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps, validation and checkpoints; without averaged weights, whose copies the stand-in loses sight of."""
    fabric = train_tiny.make_fabric(torch.device("cpu"))
    monkeypatch.setattr(type(fabric._accelerator), "setup_device", lambda self, device: None)
    monkeypatch.setattr(train_tiny, "make_fabric", lambda device: fabric)
    for unavailable in ("reset_peak_memory_stats", "max_memory_allocated"):
        monkeypatch.setattr(torch.cuda, unavailable, lambda device: 0)
    monkeypatch.setattr(fabric.strategy, "_root_device", torch.device("cuda:0"))
    with PretendedGPU():
        fold_training(tmp_path, {"epochs": 1, "average_decay": 0.0}).run()
    assert [line["event"] for line in fold_folder(tmp_path).log_lines()][-2:] == ["epoch", "validation"]
