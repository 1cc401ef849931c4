"""Configuration of a training.

`configuration_of` builds the configuration of one architecture from the name of a preset and overrides.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from tokenunet.bundle.manifest import CHANNEL_NAME
from tokenunet.core.errors import ArchitectureError, TrainingError, UsageError
from tokenunet.core.old_keys import with_current_keys
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.networks.registry import architectures, build_network
from tokenunet.training.config.presets import INITIAL_MODELS, PRESET_VALUES, PRESETS, SHIPPED_ARCHITECTURE, PresetName
from tokenunet.training.config.settings import setting, settings_of

MOST_SYNTHETIC_PATIENTS = 10**7


@dataclass(frozen=True)
class TrainingConfiguration:
    """Configuration of the training of one network, by default the paper's protocol (section 3.3) for U-Nets.

    The paper does not specify momentum (0.9, PyTorch's usual value), weight decay (none), the overlap of validation
    windows (0.5, as in nnU-Net) and the interval of validations (ten epochs, since validating 250 whole scans takes
    longer than training on 1000 patches).

    Every field describes itself, see `SETTINGS`.
    """

    architecture: str = setting(description="Name in `tokenunet.networks.architectures`.")
    arguments: dict[str, Any] = setting(default_factory=dict, description="Arguments of the architecture, as JSON.")
    channels: tuple[SequenceName, ...] = setting(
        SEQUENCES,
        description="Sequences that the network receives, in their order, separated by commas.",
        title="Channels",
    )
    initial: str = setting(
        "",
        description="File of weights to start from, relative to the experiment's folder; empty for random weights.",
        is_file=True,
    )
    pretrained_transformer: str = setting(
        "",
        description="Safetensors file of a Vision Transformer whose first blocks initialize the token mixer, relative "
        "to the experiment's folder; empty for random weights.",
        is_file=True,
    )
    spacing: float = setting(1.0, description="Voxel size that the network sees.", unit="mm", bounds=(0.5, 4))
    synthetic_patients: int = setting(
        0,
        description="Synthetic patients generated per epoch, never repeated; 0 trains on the dataset.",
        bounds=(0, MOST_SYNTHETIC_PATIENTS),
    )
    real_share: float = setting(
        0.0,
        description="Share of the synthetic patients that are replaced by cases of the dataset, strongly augmented or "
        "with the tumor of one in another.",
        bounds=(0, 1),
    )
    first_patient: int = setting(
        0,
        description="Number of the first synthetic patient; those before it are an earlier stage's.",
        bounds=(0, MOST_SYNTHETIC_PATIENTS),
    )
    validation_patients: int = setting(
        0, description="Synthetic patients for validation in an experiment without data.", bounds=(0, 1000)
    )
    epochs: int = setting(60, description="Passes over the training cases.", bounds=(1, 100_000), title="Epochs")
    patches_per_case: int = setting(1, description="Random patches of each case per epoch.", bounds=(1, 1000))
    whole_brains: bool = setting(
        False,
        description="Train and validate on whole brains instead of patches; `patch_size` is then the window of the "
        "model where memory does not suffice for a whole brain.",
    )
    patch_size: tuple[int, int, int] = setting(
        (128, 128, 128),
        description="Sides of a patch along z, y and x in voxels, separated by commas; one number for a cube.",
        title="Patch (voxels)",
    )
    tumor_share: float = setting(
        0.0, description="Share of the patches that are forced to contain tumor.", bounds=(0, 1)
    )
    augmentation: bool = setting(False, description="Augment patches: flips, rotations, blur and so on.")
    batch_size: int = setting(1, description="Patches in one forward pass.", bounds=(1, 64))
    accumulation: int = setting(
        16,
        description="Forward passes whose gradients make one optimizer step.",
        bounds=(1, 1024),
        title="Accumulation",
    )
    dice_smoothing: float = setting(
        1e-5, description="Added to numerator and denominator of the soft Dice.", unit="voxels", bounds=(0, 1e4)
    )
    absent_smoothing: float = setting(
        0.0,
        description="Smoothing used when a region is absent from the patch; 0 reuses `dice_smoothing`.",
        unit="voxels",
        bounds=(0, 1e6),
    )
    optimizer: Literal["sgd", "adamw"] = setting("sgd", description="sgd (with Nesterov momentum) or adamw.")
    learning_rate: float = setting(
        1e-2,
        description="Highest learning rate; it falls to 0 along a cosine.",
        bounds=(1e-9, 10),
        title="Learning rate",
    )
    momentum: float = setting(
        0.9, description="Momentum of SGD; decay of the first moment of AdamW.", bounds=(0, 0.9999)
    )
    second_moment: float = setting(0.999, description="Decay of the second moment of AdamW.", bounds=(0, 0.99999))
    weight_decay: float = setting(0.0, description="Weight decay of the optimizer.", bounds=(0, 1))
    warm_up_steps: int = setting(
        0, description="Steps in which the learning rate rises to its highest.", unit="steps", bounds=(0, 100_000)
    )
    clip_norm: float = setting(0.0, description="Longest gradient in the L2 norm; 0 clips none.", bounds=(0, 1e6))
    average_decay: float = setting(
        0.0,
        description="Decay of the exponential moving average of the weights, which are then validated and kept; 0 "
        "keeps the weights themselves.",
        bounds=(0, 0.99999),
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto", description="fp32, bf16 or fp16; auto uses half precision where the device has it."
    )
    validate_every: int = setting(
        10, description="Epochs between validations; the last epoch is always validated.", bounds=(1, 100_000)
    )
    validation_overlap: float = setting(0.5, description="Overlap of neighboring windows.", bounds=(0, 0.9))
    workers: int = setting(
        2,
        description="Processes that make patches in the background; 0 makes them between the steps.",
        bounds=(0, 64),
        title="Workers",
        operational=True,
    )
    checkpoint_every_s: float = setting(
        300.0,
        description="Time between checkpoints; each epoch ends with one, too.",
        unit="s",
        bounds=(0, 86_400),
        operational=True,
    )

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TrainingConfiguration":
        """Return the configuration of plain values; the inverse of `to_json`.

        Raises:
            UsageError: If a setting is unknown, or a value is out of range.
        """
        values = with_current_keys(dict(values))
        _refuse_unknown(values)
        checked = {name: _converted(name, value) for name, value in values.items()}
        configuration = cls(**checked)
        configuration._check()
        return configuration

    def _check(self) -> None:
        known = architectures()
        if self.architecture not in known:
            raise UsageError(f"There is no architecture {self.architecture!r}.", f"Choose from {', '.join(known)}.")
        multiple = known[self.architecture].size_multiple
        if any(side < multiple or side % multiple for side in self.patch_size):
            raise UsageError(f"The sides of {self.architecture}'s patches must be multiples of {multiple} voxels.")
        for name in SETTINGS:
            _check_bounds(name, getattr(self, name))
        unusable = [name for name in self.channels if not CHANNEL_NAME.fullmatch(name)]
        if unusable or not self.channels or len({name.lower() for name in self.channels}) < len(self.channels):
            raise UsageError(
                f"The channels {', '.join(self.channels)} cannot be trained on.",
                "Name each once, with letters, digits, + and -, for instance T1ce,FLAIR.",
            )
        if self.synthetic_patients and self.channels != SEQUENCES:
            raise UsageError(
                f"Synthetic patients have {', '.join(SEQUENCES)}, not {', '.join(self.channels)}.",
                "Choose a preset without them, or leave out the channels.",
            )
        if self.whole_brains and self.batch_size > 1:
            raise UsageError("Whole brains differ in size, so that no two make a batch.", "Use --set batch_size=1.")
        if self.synthetic_patients:
            self._check_synthetic()

    def _check_synthetic(self) -> None:
        from tokenunet.synthesis.patient import SPACINGS

        if self.spacing not in SPACINGS:
            raise UsageError(f"A synthetic patient has a spacing of 1, 1.6, 2 or 4 mm, not {self.spacing:g}.")
        if self.first_patient + self.epochs * self.synthetic_patients > MOST_SYNTHETIC_PATIENTS:
            raise UsageError(f"A training has at most {MOST_SYNTHETIC_PATIENTS} synthetic patients.")


SETTINGS = settings_of(TrainingConfiguration)
"""Description, range and unit of every setting, by name."""
OPERATIONAL = tuple(name for name, found in SETTINGS.items() if found.operational)
"""Settings that do not influence the result, so that a resumed training may change them."""


def check_setting(name: str, value: Any) -> None:
    """Check one value, whatever the others are.

    Args:
        name: Name in `SETTINGS`.
        value: Value; text is converted.

    Raises:
        UsageError: If there is no such setting, or the value has the wrong type or is out of range.
    """
    _refuse_unknown([name])
    _check_bounds(name, _converted(name, value))


def _refuse_unknown(names: Iterable[str]) -> None:
    if unknown := sorted(set(names) - set(SETTINGS)):
        raise UsageError(
            f"A training has no setting {', '.join(unknown)}.", f"It has these settings: {', '.join(SETTINGS)}."
        )


def _check_bounds(name: str, value: Any) -> None:
    bounds = SETTINGS[name].bounds
    if bounds is not None and not bounds[0] <= value <= bounds[1]:
        raise UsageError(f"{name} must be from {bounds[0]:g} to {bounds[1]:g}, not {value:g}.")


def configuration_of(
    architecture: str, preset: PresetName, overrides: Mapping[str, Any] | None = None
) -> TrainingConfiguration:
    """Build the configuration of one architecture.

    Args:
        architecture: Name of a registered architecture.
        preset: ``paper``: the paper's protocol. ``robust``: longer and augmented, for results that generalize to other
            scanners. ``quick``: a first result in minutes, at 2 mm. ``synthetic``: the coarse stage of a training
            without data, see `tokenunet.training.config.stages`. ``few_shot``: continues from the shipped weights on
            5 to 50 patients. ``default_model``: the training of the shipped weights. The last two start from random
            weights if the architecture differs from that of the shipped ones.
        overrides: Settings that replace the preset's; strings are converted.

    Raises:
        UsageError: If a preset, setting or architecture is unknown, or a value is out of range.
    """
    if preset not in PRESETS:
        raise UsageError(f"There is no preset {preset!r}.", f"Choose from {', '.join(PRESETS)}.")
    known = architectures()
    defaults = known[architecture].training_defaults if architecture in known else {}
    values: dict[str, Any] = {"architecture": architecture, **defaults}
    if preset in INITIAL_MODELS and architecture == SHIPPED_ARCHITECTURE:
        from tokenunet.bundle.files import WEIGHTS_NAME
        from tokenunet.bundle.store import find_model

        values["initial"] = str(find_model(INITIAL_MODELS[preset]) / WEIGHTS_NAME)
    from tokenunet.training.loop.initial import load_initial, load_pretrained_transformer

    configuration = TrainingConfiguration.from_json(values | PRESET_VALUES[preset] | dict(overrides or {}))
    try:
        network = build_network(architecture, len(configuration.channels), **configuration.arguments)
    except (ArchitectureError, RuntimeError) as error:
        raise UsageError(f"{architecture} cannot be built with {configuration.arguments}: {error}") from error
    loaders = {configuration.initial: load_initial, configuration.pretrained_transformer: load_pretrained_transformer}
    for file, load in loaders.items():
        if Path(file).is_absolute():
            try:
                load(network, Path(file))
            except TrainingError as error:
                raise UsageError(str(error), error.hint) from error
    return configuration


def preset_values(preset: PresetName) -> dict[str, Any]:
    """All values of a preset for the U-Net family, as people are shown them; needs no PyTorch."""
    return asdict(TrainingConfiguration("", **PRESET_VALUES[preset]))


def _converted(name: str, value: Any) -> Any:
    """Convert a value, which is text on the command line, to the type of its setting."""
    kind = get_type_hints(TrainingConfiguration)[name]
    try:
        if name == "arguments":
            return dict(json.loads(value) if isinstance(value, str) else value)
        if name == "channels":
            return tuple(value.split(",") if isinstance(value, str) else value)
        if name == "patch_size":
            sides = value.split(",") if isinstance(value, str) else list(value)
            z, y, x = (int(side) for side in (sides * 3 if len(sides) == 1 else sides))
            return z, y, x
        if kind is bool and isinstance(value, str):
            return {"true": True, "false": False}[value.lower()]
        if kind in (int, float, bool):
            return kind(value)
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{name} cannot be {value!r}.", f"It is a {getattr(kind, '__name__', kind)}.") from error
    choices = get_args(kind)
    if choices and value not in choices:
        raise UsageError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
    return value
