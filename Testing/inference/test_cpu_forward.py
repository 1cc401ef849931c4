"""The pass optimized for CPUs against the readable network, and the memory it takes against what was predicted."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from tokenunet.inference import cpu_forward
from tokenunet.inference.cpu_forward import cpu_optimized_forward
from tokenunet.inference.forward import forward_pass
from tokenunet.networks import build_network
from tokenunet.networks.token_unet import TokenUNet, UNetStar
from tokenunet.runtime.device import Arithmetic

CPU = torch.device("cpu")


def network_and_input(name: str, precision: str = "fp32") -> tuple[UNetStar, torch.Tensor]:
    torch.manual_seed(0)
    network = build_network(name, channels=(8, 16, 16, 32)).eval()
    for parameter in network.parameters():  # affine parameters that do something
        parameter.data += 0.1 * torch.randn_like(parameter)
    arithmetic = Arithmetic.fastest(network, CPU, precision)
    placed = arithmetic.place(network)
    assert isinstance(placed, UNetStar)
    return placed, arithmetic.place_input(torch.randn(1, 4, 40, 24, 32))


@pytest.mark.parametrize("slab_bytes", [1, 2**15, 2**24])
@pytest.mark.parametrize("name", ["unet_star", "token_unet", "token_unet_transformer"])
def test_equals_the_readable_network(name: str, slab_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_forward, "_SLAB_BYTES", slab_bytes)
    network, x = network_and_input(name)
    with torch.inference_mode():
        logits, masks = cpu_optimized_forward(network, x)
        torch.testing.assert_close(logits, network(x), atol=1e-4, rtol=1e-4)
        if isinstance(network, TokenUNet):
            assert masks is not None
            for mask, expected in zip(masks, network.forward_with_maps(x)[1], strict=True):
                torch.testing.assert_close(mask, expected, atol=1e-4, rtol=1e-4)


def test_half_precision_stays_close() -> None:
    network, x = network_and_input("token_unet_transformer")
    halved, x_half = network_and_input("token_unet_transformer", "bf16")
    with torch.inference_mode():
        full, half = cpu_optimized_forward(network, x)[0], cpu_optimized_forward(halved, x_half)[0]
    assert half.dtype == torch.float32
    assert float((full - half).abs().mean() / full.std()) < 0.02


MEASURE = """
import psutil, torch
from tokenunet.runtime.allocator import give_back_freed_memory, reuse_freed_memory
from tokenunet.runtime.device import Arithmetic
from tokenunet.inference.forward import forward_pass, small_input
from tokenunet.runtime.memory import PeakMemory, predicted_peak_bytes
from tokenunet.networks import build_network
reuse_freed_memory()
cpu = torch.device("cpu")
network = build_network({name!r}).eval()
arithmetic = Arithmetic.fastest(network, cpu, "fp32")
network = arithmetic.place(network)
x = arithmetic.place_input(torch.zeros(1, 4, {side}, {side}, {side}))
forward = lambda x: forward_pass(network, x, with_maps=False)
predicted = predicted_peak_bytes(forward, small_input(x, 8), {side} ** 3)
before = psutil.Process().memory_info().rss
with torch.inference_mode(), PeakMemory(cpu) as peak:
    forward(x)
print(predicted, peak.bytes - before)
"""


@pytest.mark.parametrize("side", [64, 96, 128])
def test_memory_is_what_was_predicted(side: int) -> None:
    script = MEASURE.format(name="token_unet_transformer", side=side)
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    predicted, measured = (int(number) for number in printed.split())
    assert 0.6 * predicted < measured < 1.1 * predicted


def test_other_networks_run_as_they_are() -> None:
    network = build_network("unet").eval()
    x = torch.randn(1, 4, 64, 64, 64)
    with torch.inference_mode():
        (logits,) = forward_pass(network, x, with_maps=False)
        np.testing.assert_array_equal(logits, network(x))
