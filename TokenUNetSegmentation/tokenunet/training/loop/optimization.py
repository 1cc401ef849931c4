"""Optimizer and learning rate schedule."""

import math

import torch
from torch import nn

from tokenunet.training.config.configuration import TrainingConfiguration


def learning_rate(configuration: TrainingConfiguration, step: int, total_steps: int) -> float:
    """Return the learning rate of a step: linear warm-up, then cosine decay to 0 (section 3.3).

    Args:
        configuration: Settings of the training.
        step: Number of the step, from 0.
        total_steps: Number of steps of the whole training.
    """
    if step < configuration.warm_up_steps:
        return configuration.learning_rate * (step + 1) / configuration.warm_up_steps
    progress = (step - configuration.warm_up_steps) / max(1, total_steps - configuration.warm_up_steps)
    return configuration.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def build_optimizer(configuration: TrainingConfiguration, network: nn.Module) -> torch.optim.Optimizer:
    """Build the configured optimizer: SGD with Nesterov momentum, or AdamW."""
    c = configuration
    if c.optimizer == "sgd":
        return torch.optim.SGD(
            network.parameters(),
            c.learning_rate,
            momentum=c.momentum,
            nesterov=c.momentum > 0,
            weight_decay=c.weight_decay,
        )
    return torch.optim.AdamW(
        network.parameters(), c.learning_rate, betas=(c.momentum, c.second_moment), weight_decay=c.weight_decay
    )
