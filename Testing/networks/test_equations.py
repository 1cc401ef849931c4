"""The token modules against the paper's equations 2 to 6, computed with NumPy from the same random weights."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenunet.networks.blocks import ResidualBlock
from tokenunet.networks.mixers import TransformerBlock
from tokenunet.networks.tokens import TokenFuser, TokenLearner
from torch import nn

Array = NDArray[np.float64]

F_, N, D, H, W = 16, 5, 3, 4, 2
VOXELS = D * H * W
HEADS = 4


def random_weights(module: nn.Module, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module.double().eval()


def weights(layer: nn.Module) -> tuple[Array, Array]:
    """Weight (out, in) and bias (out) of a linear layer or 1x1x1 convolution."""
    w, b = (p.detach().numpy() for p in layer.parameters())
    return w.reshape(w.shape[0], -1), b


def linear(x: Array, layer: nn.Module) -> Array:
    w, b = weights(layer)
    return x @ w.T + b


def gelu(x: Array) -> Array:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def layer_norm(x: Array, layer: nn.LayerNorm) -> Array:
    gamma, beta = (p.detach().numpy() for p in layer.parameters())
    return gamma * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + layer.eps) + beta


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(1, F_, D, H, W, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def as_voxels(x: torch.Tensor) -> Array:
    """(1, C, D, H, W) to (voxels, C)."""
    return x.detach().numpy().reshape(x.shape[1], -1).T


def voxel_mlp(x: Array, mlp: nn.Sequential) -> Array:
    return linear(gelu(linear(x, mlp[0])), mlp[2])


def test_masks_and_tokens_follow_equations_2_and_3(features: torch.Tensor) -> None:
    learner = random_weights(TokenLearner(F_, N, hidden=7), seed=2)
    tokens, masks = learner(features)
    X = as_voxels(features)
    A = softmax(voxel_mlp(X, learner.mlp), axis=0).T
    np.testing.assert_allclose(masks.detach().numpy().reshape(N, VOXELS), A, atol=1e-6)
    np.testing.assert_allclose(tokens[0].detach().numpy(), A @ X, atol=1e-6)


def test_masks_sum_to_one_over_space(features: torch.Tensor) -> None:
    _, masks = random_weights(TokenLearner(F_, N, hidden=7), seed=3)(features)
    assert (masks >= 0).all()
    torch.testing.assert_close(masks.sum((2, 3, 4)), torch.ones(1, N))


def test_tokens_do_not_depend_on_the_order_of_voxels(features: torch.Tensor) -> None:
    learner = random_weights(TokenLearner(F_, N, hidden=7), seed=4)
    order = torch.randperm(VOXELS, generator=torch.Generator().manual_seed(5))
    shuffled = features.flatten(2)[..., order].view_as(features)
    torch.testing.assert_close(learner(shuffled)[0], learner(features)[0], atol=1e-7, rtol=1e-6)


def test_fuser_follows_equation_4(features: torch.Tensor) -> None:
    fuser = random_weights(TokenFuser(F_, N, hidden=7), seed=6)
    tokens = torch.randn(1, N, F_, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    fused, masks = fuser(features, tokens)
    X, T = as_voxels(features), tokens[0].numpy()
    B = voxel_mlp(X, fuser.mlp)
    M, bias = weights(fuser.mix)
    np.testing.assert_allclose(as_voxels(masks), B, atol=1e-12)
    np.testing.assert_allclose(as_voxels(fused), X + B @ (M @ T + bias[:, None]), atol=1e-12)


def test_transformer_block_follows_equations_5_and_6() -> None:
    block = random_weights(TransformerBlock(F_, HEADS), seed=8)
    x = torch.randn(1, N, F_, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    X = x[0].numpy()

    normed = layer_norm(X, block.norm1)
    Q, K, V = np.split(linear(normed, block.attn.qkv), 3, axis=1)
    width = F_ // HEADS
    heads = []
    for h in range(HEADS):
        q, k, v = (m[:, h * width : (h + 1) * width] for m in (Q, K, V))
        heads.append(softmax(q @ k.T / np.sqrt(width), axis=1) @ v)
    X = X + linear(np.concatenate(heads, axis=1), block.attn.proj)
    X = X + linear(gelu(linear(layer_norm(X, block.norm2), block.mlp.fc1)), block.mlp.fc2)
    np.testing.assert_allclose(block(x)[0].detach().numpy(), X, atol=1e-10)


@pytest.mark.parametrize(
    ("resolution", "channels", "size"), [("same", 4, (4, 6, 8)), ("down", 8, (2, 3, 4)), ("up", 2, (8, 12, 16))]
)
def test_residual_block_adds_its_residual_to_the_shortcut(
    resolution: str, channels: int, size: tuple[int, ...]
) -> None:
    block = random_weights(ResidualBlock(4, channels, resolution), seed=10)  # type: ignore[arg-type]
    x = torch.randn(1, 4, 4, 6, 8, dtype=torch.float64)
    y = block(x)
    assert y.shape == (1, channels, *size)
    residual = nn.functional.gelu(block.norm(block.conv(x)))
    if resolution == "up":
        # The other order of the two linear steps: interpolate all channels first, then project.
        shortcut = block.project(nn.functional.interpolate(x, scale_factor=2, mode="trilinear"))
    else:
        shortcut = block.project(nn.functional.avg_pool3d(x, 2) if resolution == "down" else x)
    torch.testing.assert_close(y, residual + shortcut)
