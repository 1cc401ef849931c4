"""How the weights move: optimizer and learning rate."""

import math

import torch
from torch import nn

from tokenunet.training.config.configuration import TrainingConfiguration


def learning_rate(configuration: TrainingConfiguration, step: int, total_steps: int) -> float:
    """At a step, counted from 0: a linear rise in the warm-up, then a cosine down to 0 (section 3.3)."""
    if step < configuration.warm_up_steps:
        return configuration.learning_rate * (step + 1) / configuration.warm_up_steps
    progress = (step - configuration.warm_up_steps) / max(1, total_steps - configuration.warm_up_steps)
    return configuration.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def build_optimizer(configuration: TrainingConfiguration, network: nn.Module) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, or AdamW, as the configuration says."""
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
