"""The probe reads features where a Token-UNet computes them, and splits its logit by token."""

import pytest
import torch
from tokenunet.inference.forward import forward_pass, window_pass
from tokenunet.networks import build_network
from tokenunet.networks.probe import Probe
from torch import nn

SMALL = {"channels": [4, 8, 8, 16], "tokens": 5, "depth": 1, "heads": 4, "hidden": 8}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return build_network("token_unet_transformer", **SMALL).eval()


@pytest.fixture(scope="module")
def probe() -> Probe:
    torch.manual_seed(1)
    probe = Probe(16, 8)
    probe.weight.normal_()
    probe.fine_weight.normal_()
    probe.bias += 0.3
    probe.mean.normal_()
    return probe


def test_probe_shares_sum_to_its_logit(network: nn.Module, probe: Probe) -> None:
    x = torch.randn(1, 4, 32, 32, 48)
    with torch.inference_mode():
        before, skips = network.encode(x)
        features, maps = network.attend(before)
        _logits, shares, fine, distance = forward_pass(network, x, False, probe)
        mixed = network.fuser.mix(network.mixer(network.learner(before)[0]).transpose(1, 2))
    logit = torch.einsum("f,bfdhw->bdhw", probe.weight, features) + probe.bias
    torch.testing.assert_close(shares.sum(dim=1), logit, atol=1e-4, rtol=1e-4)
    token_3 = (probe.weight @ mixed[0])[2] * maps.token_fuser[:, 2]
    torch.testing.assert_close(shares[:, 2], token_3, atol=1e-4, rtol=1e-4)
    expected = torch.einsum("f,bfdhw->bdhw", probe.fine_weight, skips[-1]) + probe.fine_bias
    torch.testing.assert_close(fine[:, 0], expected, atol=1e-4, rtol=1e-4)
    centered = features - probe.mean[:, None, None, None]
    torch.testing.assert_close(distance, centered.square().mean(dim=1, keepdim=True), atol=1e-4, rtol=1e-4)


def test_probe_reads_windows_too_and_leaves_no_hook(network: nn.Module, probe: Probe) -> None:
    x = torch.randn(1, 4, 32, 32, 48)
    with torch.inference_mode():
        done = window_pass(network, x, True, lambda fraction: None, lambda x: x, (32, 32, 32), 0.5, 1, probe)
        plain = window_pass(network, x, True, lambda fraction: None, lambda x: x, (32, 32, 32), 0.5, 1)
    assert done.probe is not None
    assert [tuple(t.shape[1:]) for t in done.probe] == [(6, 4, 4, 6), (1, 8, 8, 12), (1, 4, 4, 6)]
    assert plain.probe is None
    assert torch.equal(done.logits, plain.logits)
    assert not network.fuser._forward_hooks
