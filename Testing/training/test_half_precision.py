"""Training in the precisions that some GPUs need or lack, on the CPU in their place."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from tokenunet.training.loop.engine import FoldTraining
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
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


class NoDoublePrecision(TorchFunctionMode):
    """Refuses to move double precision to a device, as Apple's GPU does."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        moves = any(isinstance(leaf, torch.device) for leaf in tree_leaves((args, kwargs)))
        result = function(*args, **(kwargs or {}))
        if moves and isinstance(result, torch.Tensor) and result.dtype == torch.float64:
            raise TypeError(
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."
            )
        return result


def test_training_and_validation_need_no_double_precision_on_the_device(tmp_path: Path) -> None:
    run = fold_training(tmp_path, {"epochs": 1})
    with NoDoublePrecision():
        run.run()
    assert [line["event"] for line in fold_folder(tmp_path).log_lines()].count("validation") == 1
