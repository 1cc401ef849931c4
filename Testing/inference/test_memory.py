"""What happens where memory does not suffice."""

import sys
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from monai.inferers import utils as monai_windows
from tokenunet.bundle.bundle import ModelBundle
from tokenunet.core.errors import OutOfMemoryError
from tokenunet.core.findings import Finding
from tokenunet.inference import forward as forward_module
from tokenunet.inference.fallback import Mode, Strategy, fallback_chain
from tokenunet.inference.predict import needed_bytes, predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.networks.token_unet import TokenUNet
from tokenunet.preprocessing import Prepared
from tokenunet.runtime.device import is_out_of_memory

predict_module = sys.modules["tokenunet.inference.predict"]  # the package has a function of that name
CPU = InferenceOptions(device="cpu", precision="fp32")
WINDOWS = replace(CPU, mode="sliding_window")


def test_memory_running_out_falls_down_the_announced_ladder(
    bundle: ModelBundle, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in for a full memory refuses anything larger than one window."""
    attend = TokenUNet.attend

    def attend_small_only(self: TokenUNet, x: torch.Tensor) -> tuple:
        if x[0, 0].numel() > 4**3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte")
        return attend(self, x)

    monkeypatch.setattr(TokenUNet, "attend", attend_small_only)
    announced: list[Finding] = []
    prediction, execution = predict(prepared, bundle, CPU, on_fallback=announced.append)
    assert execution.mode == "sliding_window"
    (finding,) = announced
    assert finding.code == "out_of_memory"
    sentence = finding.message
    assert sentence.startswith("There is not enough memory for a single pass on cpu: about 0.1 GB are needed, ")
    assert sentence.endswith(" GB are free. Trying a sliding window, 1 at a time, on cpu.")
    assert execution.fallbacks == (sentence,)
    monkeypatch.undo()
    expected, _ = predict(prepared, bundle, WINDOWS)
    np.testing.assert_array_equal(prediction.probabilities, expected.probabilities)


def test_an_ensemble_without_memory_for_its_last_network_starts_again_with_windows_for_all(
    ensemble: ModelBundle, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    attend, passes = TokenUNet.attend, 0

    def third_is_too_much(self: TokenUNet, x: torch.Tensor) -> tuple:
        nonlocal passes
        whole_brain = x[0, 0].numel() > 4**3
        passes += whole_brain
        if whole_brain and passes == 3:
            raise torch.OutOfMemoryError
        return attend(self, x)

    monkeypatch.setattr(TokenUNet, "attend", third_is_too_much)
    prediction, execution = predict(prepared, ensemble, CPU)
    assert execution.mode == "sliding_window"
    assert len(execution.fallbacks) == 1
    monkeypatch.undo()
    np.testing.assert_array_equal(prediction.members, predict(prepared, ensemble, WINDOWS)[0].members)


def test_too_little_memory_for_anything_is_one_clear_sentence(
    bundle: ModelBundle, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(self: TokenUNet, x: torch.Tensor) -> tuple:
        if x[0, 0].numel() < 4**3:
            return attend(self, x)
        raise torch.OutOfMemoryError

    attend = TokenUNet.attend
    monkeypatch.setattr(TokenUNet, "attend", no_memory)
    with pytest.raises(OutOfMemoryError, match="not enough memory for a sliding window, 1 at a time, on cpu"):
        predict(prepared, bundle, CPU)


def test_what_would_not_fit_is_not_even_tried(
    bundle: ModelBundle, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = {
        mode: needed_bytes(prepared, bundle, Strategy(torch.device("cpu"), mode), "fp32") for mode in get_args(Mode)
    }
    assert need["sliding_window"] < need["single_pass"]
    monkeypatch.setattr(predict_module, "free_bytes", lambda device: need["single_pass"] - 1)
    _, execution = predict(prepared, bundle, CPU)
    assert execution.mode == "sliding_window"
    assert "Trying a sliding window" in execution.fallbacks[0]
    monkeypatch.setattr(predict_module, "free_bytes", lambda device: need["single_pass"])
    _, execution = predict(prepared, bundle, CPU)
    assert (execution.mode, execution.needed_bytes) == ("single_pass", need["single_pass"])


def test_other_errors_do_not_pass_for_lack_of_memory(
    bundle: ModelBundle, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: TokenUNet, x: torch.Tensor) -> tuple:
        raise RuntimeError("something else")

    monkeypatch.setattr(TokenUNet, "attend", broken)
    with pytest.raises(RuntimeError, match="something else"):
        predict(prepared, bundle, CPU)


def test_the_ladder_of_a_gpu_ends_on_the_cpu() -> None:
    steps = [str(strategy) for strategy in fallback_chain(torch.device("cuda:0"), "single_pass")]
    assert steps == [
        "a single pass on cuda:0",
        "a sliding window, 4 at a time, on cuda:0",
        "a sliding window, 1 at a time, on cuda:0",
        "a single pass on cpu",
        "a sliding window, 1 at a time, on cpu",
    ]


@pytest.mark.parametrize("where", ["windows", "weights of windows"])
def test_memory_that_runs_out_among_windows_leads_to_fewer_at_a_time(
    where: str, bundle: ModelBundle, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CPU stands in for a GPU whose memory runs out midway; MONAI wraps such an error in one of its own."""
    cpu = torch.device("cpu")
    chain = [Strategy(cpu, "sliding_window", batch) for batch in (4, 1)]
    monkeypatch.setattr(predict_module, "fallback_chain", lambda device, mode: list(chain))
    monkeypatch.setattr(forward_module, "cpu_optimized_forward", TokenUNet.forward_with_maps)  # as on a GPU
    calls = 0
    attend, weigh = TokenUNet.attend, monai_windows.compute_importance_map

    def second_batch_is_too_much(self: TokenUNet, x: torch.Tensor) -> tuple:
        nonlocal calls
        calls += len(x) == 4
        if where == "windows" and len(x) == 4 and calls == 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return attend(self, x)

    def first_weights_are_too_much(*arguments: Any, **options: Any) -> torch.Tensor:
        nonlocal calls
        calls += where != "windows"
        if where != "windows" and calls == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return weigh(*arguments, **options)

    monkeypatch.setattr(TokenUNet, "attend", second_batch_is_too_much)
    monkeypatch.setattr(monai_windows, "compute_importance_map", first_weights_are_too_much)
    announced: list[Finding] = []
    prediction, execution = predict(prepared, bundle, CPU, on_fallback=announced.append)
    (finding,) = announced
    assert finding.code == "out_of_memory"
    assert finding.message.endswith("Trying a sliding window, 1 at a time, on cpu.")
    assert execution.fallbacks == (finding.message,)
    monkeypatch.undo()
    expected, _ = predict(prepared, bundle, WINDOWS)
    np.testing.assert_allclose(prediction.probabilities, expected.probabilities, atol=1e-4)


def test_is_out_of_memory_recognizes_monais_words() -> None:
    assert is_out_of_memory(RuntimeError("Seems to be OOM. Please try using smaller sw_batch_size."))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
