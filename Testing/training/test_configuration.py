"""The presets, and the paper's protocol field by field."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenunet.bundle.store import find_model
from tokenunet.cli import main
from tokenunet.core.errors import UsageError
from tokenunet.networks import architectures
from tokenunet.training.config.configuration import PRESETS, SETTINGS, TrainingConfiguration, configuration_of

PAPER: dict[str, Any] = {
    # section 3.3: "Each fold training runs for 60 epochs"
    "epochs": 60,
    # "patches of size 128 x 128 x 128, randomly extracted from the images, are fed to the model, once per subject"
    "patch_size": (128, 128, 128),
    "patches_per_case": 1,
    "tumor_share": 0.0,
    "augmentation": False,
    # "batch size is set to 1 ... gradient accumulation for 16 mini-batches"
    "batch_size": 1,
    "accumulation": 16,
    # "All learning rates are reduced with a cosine annealing schedule"
    "warm_up_steps": 0,
    # nothing else is said to be done
    "clip_norm": 0.0,
    "average_decay": 0.0,
    "weight_decay": 0.0,
    # BraTS's own voxels
    "spacing": 1.0,
}


@pytest.mark.parametrize("architecture", architectures())
def test_paper_preset_is_the_papers_protocol(architecture: str) -> None:
    configuration = configuration_of(architecture, "paper")
    assert {name: getattr(configuration, name) for name in PAPER} == PAPER
    # "SGD with Nesterov momentum, with learning rate set to 10^-2, while the SwinUNETR models ... AdamW ... 8e-4"
    optimizer = ("adamw", 8e-4) if architecture == "swin_unetr" else ("sgd", 1e-2)
    assert (configuration.optimizer, configuration.learning_rate) == optimizer
    assert configuration.arguments == {}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("architecture", architectures())
def test_presets_survive_being_written_and_read(preset: Any, architecture: str) -> None:
    configuration = configuration_of(architecture, preset)
    assert TrainingConfiguration.from_json(json.loads(json.dumps(configuration.to_json()))) == configuration


def test_every_setting_describes_itself_and_every_number_has_bounds() -> None:
    for name, value in vars(TrainingConfiguration("unet")).items():
        found = SETTINGS[name]
        assert found.description.endswith(".")
        assert (found.bounds is not None) == (type(value) in (int, float)), name
        assert found.bounds is None or found.bounds[0] <= value <= found.bounds[1]


def test_the_command_explains_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for name, found in SETTINGS.items():
        assert name == "architecture" or f"{name} {found.hint}" in said


def test_any_number_can_be_given_as_text() -> None:
    overrides = {
        "epochs": "3",
        "learning_rate": "2e-3",
        "patch_size": "64",
        "augmentation": "true",
        "precision": "fp32",
    }
    overrides["arguments"] = '{"channels": [4, 8], "strides": [2]}'
    configuration = configuration_of("unet", "paper", overrides)
    assert configuration.epochs == 3
    assert configuration.arguments == {"channels": [4, 8], "strides": [2]}
    assert configuration.learning_rate == 2e-3
    assert configuration.patch_size == (64, 64, 64)
    assert configuration.augmentation is True
    assert configuration_of("unet", "paper", {"patch_size": "64,96,128"}).patch_size == (64, 96, 128)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"epoch": "3"}, "no setting epoch"),
        ({"epochs": "three"}, "epochs cannot be 'three'"),
        ({"epochs": "0"}, "epochs must be from 1"),
        ({"patch_size": "100"}, "multiples of 32"),
        ({"optimizer": "lion"}, "optimizer must be one of sgd, adamw"),
        ({"learning_rate": "nan"}, "learning_rate must be"),
        ({"augmentation": "perhaps"}, "augmentation cannot be"),
        ({"arguments": "{channels: 3}"}, "arguments cannot be"),
        ({"arguments": '{"wheels": 4}'}, "unet cannot be built"),
    ],
)
def test_impossible_settings_are_refused(overrides: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        configuration_of("unet", "paper", overrides)


def test_unknown_architectures_and_presets_are_refused() -> None:
    with pytest.raises(UsageError, match="no architecture 'vnet'"):
        configuration_of("vnet", "paper")
    with pytest.raises(UsageError, match="no preset"):
        configuration_of("unet", "fast")  # type: ignore[arg-type]


def test_few_shot_starts_from_the_shipped_weights_and_mixes_patients() -> None:
    configuration = configuration_of("token_unet_transformer", "few_shot")
    assert Path(configuration.initial) == find_model("default") / "weights.safetensors"
    assert configuration.real_share == 0.5 and configuration.synthetic_patients > 0
    assert configuration_of("unet", "few_shot").initial == ""
