"""Devices that this computer does not have, by stand-ins: see ``docs/explanation/never-run.md``."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_fixtures import SMALL_MANIFEST, small_bundle
from pretended_gpu import PretendedGPU
from tokenunet.bundle.bundle import ModelBundle, load_bundle
from tokenunet.core.findings import Finding
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions, Mode
from tokenunet.networks.probe import Probe
from tokenunet.networks.token_unet import TokenUNet
from tokenunet.preprocessing import Prepared
from tokenunet.runtime import device as device_module
from tokenunet.runtime.device import Arithmetic, is_unsupported_on_mps, resolve_device
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

predict_module = sys.modules["tokenunet.inference.predict"]


class SameDevice(TorchDispatchMode):
    """Refuses operations on tensors of two devices, as a GPU does; single numbers of the CPU are allowed."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor) and leaf.dim()]
        if len({tensor.device for tensor in tensors}) > 1 and "copy" not in str(function):
            raise RuntimeError(f"{function} was given tensors on two devices.")
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("mode", ["single_pass", "sliding_window"])
def test_predict_mixes_no_tensors_of_a_gpu_and_the_cpu(
    mode: Mode, tmp_path: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that follows the passes is done, too: second pass, limit of the core, evidence, maps and probe."""
    manifest = replace(SMALL_MANIFEST, second_pass_without=("T1ce",), core_reach_mm=5.0, least_evidence={"ET": 100.0})
    bundle = replace(load_bundle(small_bundle(tmp_path, manifest)), probe=Probe(16, 8))
    options = InferenceOptions(device="cpu", mode=mode, precision="fp32", attention_maps=True)
    expected, _ = predict(prepared, bundle, options)
    assert expected.second_pass_dice is not None and expected.probe is not None and "ET" in expected.unmarked_ml
    monkeypatch.setattr(predict_module, "resolve_device", lambda name: torch.device("cuda:0"))
    monkeypatch.setattr(predict_module, "free_bytes", lambda device: 10**12)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "pretended")
    with PretendedGPU():
        prediction, execution = predict(prepared, bundle, options)
    assert execution.device == "cuda:0", execution.fallbacks
    np.testing.assert_allclose(prediction.probabilities, expected.probabilities, atol=1e-4)


def test_predict_continues_on_the_cpu_where_mps_lacks_an_operation(
    bundle: ModelBundle, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Apple's GPU, moving the network there fails as a missing operation does."""
    monkeypatch.setattr(predict_module, "resolve_device", lambda name: torch.device("mps"))
    notices: list[Finding] = []
    options = InferenceOptions(precision="fp32")
    prediction, execution = predict(prepared, bundle, options, on_fallback=notices.append)
    (notice,) = notices
    assert notice.code == "unsupported_operation"
    assert notice.message.endswith("Trying a single pass on cpu.")
    assert execution.device == "cpu"
    monkeypatch.undo()
    expected, _ = predict(prepared, bundle, InferenceOptions(device="cpu", precision="fp32"))
    np.testing.assert_array_equal(prediction.probabilities, expected.probabilities)


@pytest.mark.parametrize(
    ("error", "unsupported"),
    [
        (NotImplementedError("The operator 'aten::x' is not currently implemented for the MPS device."), True),
        (RuntimeError("ConvTranspose 3D is not supported on MPS"), True),
        (TypeError("Cannot convert a MPS Tensor to float64 dtype"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (KeyError("mps"), False),
    ],
)
def test_is_unsupported_on_mps_goes_by_pytorchs_words(error: Exception, unsupported: bool) -> None:
    assert is_unsupported_on_mps(error) == unsupported


@pytest.mark.parametrize(("able", "expected"), [(True, "mps"), (False, "cpu")])
def test_auto_takes_mps_only_where_it_runs_networks(able: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not device_module._mps_runs_networks() or torch.backends.mps.is_available()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(device_module, "_mps_runs_networks", lambda: able)
    assert resolve_device("auto").type == expected


def test_no_tensor_of_a_pass_or_step_stays_on_the_cpu() -> None:
    """PyTorch's device ``meta`` stands in for a GPU: it has shapes and devices, and computes nothing."""
    with torch.device("meta"):
        network = TokenUNet().train()
        x, truth = torch.empty(2, 4, 32, 32, 32), torch.empty(2, 3, 32, 32, 32)
    with SameDevice():
        logits, maps = network.eval().forward_with_maps(x)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network.train()(x), truth)
        loss.backward()
        torch.optim.AdamW(network.parameters()).step()
    assert {tensor.device.type for tensor in (logits, *maps, loss)} == {"meta"}
    assert all(p.grad is not None and p.grad.device.type == "meta" for p in network.parameters() if p.requires_grad)


def test_a_tensor_left_on_the_cpu_is_noticed() -> None:
    with SameDevice(), pytest.raises(RuntimeError, match="on two devices"):
        torch.empty(3, device="meta") + torch.empty(3)


def test_fp16_as_on_a_gpu_gives_the_maps_and_regions_of_fp32(bundle: ModelBundle) -> None:
    """GPUs without bf16 run the plain forward pass with autocast to fp16, which the CPU has too."""
    network = bundle.build()
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 4, 48, 48, 32)).astype(np.float32))
    arithmetic = Arithmetic(torch.device("cpu"), "fp16", casts_weights=False, layout=torch.channels_last_3d)
    with torch.inference_mode():
        expected, expected_maps = network.forward_with_maps(x)
        with arithmetic.autocast():
            logits, maps = arithmetic.place(network).forward_with_maps(arithmetic.place_input(x))
    assert logits.dtype == torch.float16  # else nothing was tried
    assert float((logits.float().sigmoid() - expected.sigmoid()).abs().max()) < 0.01
    voxels = maps.token_learner[0, 0].numel()
    assert maps.token_learner.flatten(2).sum(-1).allclose(torch.ones(()), atol=1e-4)
    torch.testing.assert_close(
        maps.token_learner.float() * voxels, expected_maps.token_learner * voxels, atol=0.02, rtol=0.02
    )


def test_predict_in_fp16_is_that_of_fp32(bundle: ModelBundle, prepared: Prepared) -> None:
    half, execution = predict(prepared, bundle, InferenceOptions(device="cpu", precision="fp16"))
    single, _ = predict(prepared, bundle, InferenceOptions(device="cpu", precision="fp32"))
    assert execution.precision == "fp16"
    assert np.isfinite(half.probabilities).all()
    assert np.abs(half.probabilities - single.probabilities).max() < 0.02
