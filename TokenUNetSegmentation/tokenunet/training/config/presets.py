"""Presets of training settings."""

from typing import Any, Literal, get_args

PresetName = Literal["paper", "robust", "quick", "synthetic", "few_shot", "default_model"]
PRESETS: tuple[PresetName, ...] = get_args(PresetName)

_MIXED: dict[str, Any] = {
    "spacing": 1.6,
    "synthetic_patients": 50,  # places in the stream
    "epochs": 4,  # scores on unseen patients pass a turning point after a few hundred steps
    "whole_brains": True,
    "accumulation": 1,
    "dice_smoothing": 50.0,
    "absent_smoothing": 500.0,
    "optimizer": "adamw",
    "learning_rate": 3e-4,
    "second_moment": 0.99,
    "weight_decay": 1e-2,
    "warm_up_steps": 30,
    "clip_norm": 1.0,
    "average_decay": 0.99,
    "validate_every": 1,
    "workers": 1,
}
"""Real and synthetic patients in one stream, starting from weights trained on synthetic ones."""

PRESET_VALUES: dict[PresetName, dict[str, Any]] = {
    "paper": {},
    "robust": {
        "epochs": 250,
        "tumor_share": 0.33,
        "augmentation": True,
        "accumulation": 2,
        "dice_smoothing": 50.0,
        "optimizer": "adamw",
        "learning_rate": 8e-4,
        "weight_decay": 1e-2,
        "warm_up_steps": 100,
        "clip_norm": 1.0,
        "average_decay": 0.999,
        "validate_every": 5,
    },
    "quick": {
        "spacing": 2.0,
        "epochs": 20,
        "patch_size": (64, 64, 64),
        "tumor_share": 0.5,
        "accumulation": 2,
        "dice_smoothing": 50.0,
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "weight_decay": 1e-2,
        "warm_up_steps": 20,
        "clip_norm": 1.0,
        "average_decay": 0.95,
        "validate_every": 5,
        "workers": 1,
    },
    "synthetic": {
        "spacing": 2.0,
        "synthetic_patients": 100,
        "validation_patients": 12,
        "epochs": 60,
        "whole_brains": True,  # in patches, instance normalization would see other statistics than in use
        "accumulation": 1,
        "dice_smoothing": 50.0,
        "absent_smoothing": 500.0,  # four in ten patients have no enhancement, one in eight no tumor
        "optimizer": "adamw",
        "learning_rate": 8e-4,
        "second_moment": 0.99,
        "weight_decay": 1e-2,
        "warm_up_steps": 60,
        "clip_norm": 1.0,
        "average_decay": 0.998,
        "validate_every": 1,
        "workers": 1,
    },
    "few_shot": _MIXED | {"real_share": 0.5},
    "default_model": _MIXED | {"real_share": 0.55, "epochs": 7, "learning_rate": 6e-4, "average_decay": 0.98},
}
"""Differences from the defaults of `tokenunet.training.config.configuration.TrainingConfiguration`."""

INITIAL_MODELS: dict[PresetName, str] = {"few_shot": "default", "default_model": "synthetic_only"}
"""Shipped model whose weights a preset starts from."""
SHIPPED_ARCHITECTURE = "token_unet_transformer"
"""Architecture of the shipped models."""
