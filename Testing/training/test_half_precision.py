"""Training in fp16 with a gradient scaler, which GPUs without bf16 need, on the CPU in place of such a GPU."""

from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from tokenunet.training.loop.engine import FoldTraining
from training import train_tiny
from training.train_tiny import fold_folder, fold_training

TOO_LARGE = 2.0**28
"""Scale at which the gradients exceed the largest number of fp16, 65504."""


def training(folder: Path, epochs: int, monkeypatch: pytest.MonkeyPatch) -> tuple[FoldTraining, torch.amp.GradScaler]:
    """Return a training and its scaler; Fabric has fp16 on GPUs only, unless it is given the plug-in."""
    scaler = torch.amp.GradScaler("cpu", init_scale=TOO_LARGE, backoff_factor=2.0**-6)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=MixedPrecision("16-mixed", "cpu", scaler))
    fabric.launch()
    monkeypatch.setattr(train_tiny, "make_fabric", lambda device: fabric)
    folder.mkdir(exist_ok=True)
    return fold_training(folder, {"epochs": epochs, "precision": "fp16"}), scaler


def test_fp16_skips_steps_until_the_scale_fits_and_resumes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, scaler = training(tmp_path, 3, monkeypatch)
    before = {name: tensor.clone() for name, tensor in run.state.network.module.state_dict().items()}
    run.run()
    lines = fold_folder(tmp_path).log_lines()
    skipped = [line["step"] for line in lines if line["event"] == "skipped_step"]
    assert skipped == list(range(1, len(skipped) + 1))
    assert 0 < len(skipped) < 9
    assert scaler.get_scale() == TOO_LARGE * 2.0 ** (-6 * len(skipped))
    after = run.state.network.module.state_dict()
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in after.values())
    assert any(not torch.equal(before[name], tensor) for name, tensor in after.items())
    epochs = [line["loss"] for line in lines if line["event"] == "epoch"]
    assert epochs[-1] < epochs[0]

    resumed, fresh = training(tmp_path, 3, monkeypatch)
    assert fresh.get_scale() == TOO_LARGE
    assert resumed.state.restore()
    assert fresh.get_scale() == scaler.get_scale()
