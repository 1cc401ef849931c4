"""Everything that decides a training, in one typed place.

`configuration_of` makes the configuration of one architecture from a preset's name and overrides.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from tokenunet.core.errors import ArchitectureError, TrainingError, UsageError
from tokenunet.core.old_keys import with_current_keys
from tokenunet.networks.registry import architectures, build_network
from tokenunet.training.config.presets import INITIAL_MODELS, PRESET_VALUES, PRESETS, SHIPPED_ARCHITECTURE, PresetName

MOST_SYNTHETIC_PATIENTS = 10**7

OPERATIONAL = ("workers", "checkpoint_every_s")
"""Settings that decide nothing about the result, so that a resumed training may change them."""


@dataclass(frozen=True)
class TrainingConfiguration:
    """One network's training. The defaults are the paper's protocol (section 3.3) for the U-Net family.

    The paper leaves open: momentum (0.9, PyTorch's usual value), weight decay (none), the overlap of validation windows
    (0.5, as in nnU-Net) and how often to validate (every tenth epoch: validating 250 whole scans takes longer than
    learning from 1000 patches).

    Attributes:
        architecture: a name in `tokenunet.networks.architectures`.
        arguments: the architecture's own arguments.
        initial: file of weights to begin from; relative to the experiment's folder. Random ones where empty.
        pretrained_transformer: Safetensors file of a Vision Transformer whose first blocks initialize the token mixer;
            relative to the experiment's folder. Empty keeps random weights.
        spacing: of the voxels that the network sees, in mm.
        synthetic_patients: that are made for every epoch, none of them twice; 0 learns from the experiment's cases.
        real_share: Share of the places of synthetic patients that show one of the experiment's cases instead, strongly
            augmented, or its tumor in another one.
        first_patient: number of the first of them; those before are an earlier stage's.
        validation_patients: synthetic ones that an experiment without data measures on.
        epochs: passes over the training cases.
        patches_per_case: random patches of each case in an epoch.
        whole_brains: learns from whole brains in place of patches, and measures on them; then `patch_size` is only that
            of the model's windows where memory does not suffice for a whole brain.
        patch_size: in voxels, along z, y and x.
        tumor_share: share of the patches that are made to hold a voxel of tumor.
        augmentation: whether patches are flipped, turned, blurred and so on.
        batch_size: patches in one forward pass.
        accumulation: forward passes whose gradients make one step.
        dice_smoothing: added to numerator and denominator of the soft Dice, in voxels.
        absent_smoothing: in place of it for a region of which a patch holds nothing; 0 takes the same.
        optimizer: ``sgd`` (Nesterov momentum) or ``adamw``.
        learning_rate: at its highest.
        momentum: of SGD; the first moment's decay of AdamW.
        second_moment: its decay, of AdamW.
        weight_decay: of the optimizer.
        warm_up_steps: in which the learning rate rises to its highest; then it falls to 0 along a cosine.
        clip_norm: longest gradient, in the L2 norm; 0 does not shorten any.
        average_decay: of the exponential moving average of the weights, which are then the ones validated and kept; 0
            keeps the weights themselves.
        precision: ``auto`` computes in half precision where the device has it.
        validate_every: epochs between two validations; the last epoch is always validated.
        validation_overlap: of neighboring windows.
        workers: processes that make patches in the background; 0 makes them between the steps.
        checkpoint_every_s: seconds between two checkpoints; there is one at the end of every epoch, too.
    """

    architecture: str
    arguments: dict[str, Any] = field(default_factory=dict)
    initial: str = ""
    pretrained_transformer: str = ""
    spacing: float = 1.0
    synthetic_patients: int = 0
    real_share: float = 0.0
    first_patient: int = 0
    validation_patients: int = 0
    epochs: int = 60
    patches_per_case: int = 1
    whole_brains: bool = False
    patch_size: tuple[int, int, int] = (128, 128, 128)
    tumor_share: float = 0.0
    augmentation: bool = False
    batch_size: int = 1
    accumulation: int = 16
    dice_smoothing: float = 1e-5
    absent_smoothing: float = 0.0
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 1e-2
    momentum: float = 0.9
    second_moment: float = 0.999
    weight_decay: float = 0.0
    warm_up_steps: int = 0
    clip_norm: float = 0.0
    average_decay: float = 0.0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    validate_every: int = 10
    validation_overlap: float = 0.5
    workers: int = 2
    checkpoint_every_s: float = 300.0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TrainingConfiguration":
        """The inverse of `to_json`.

        Raises:
            UsageError: for an unknown field or a value out of range.
        """
        values = with_current_keys(dict(values))
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            names = ", ".join(f.name for f in fields(cls))
            raise UsageError(
                f"A training has no setting {', '.join(sorted(unknown))}.", f"It has these settings: {names}."
            )
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
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"{name} must be from {low:g} to {high:g}, not {getattr(self, name):g}.")
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


_RANGES: dict[str, tuple[float, float]] = {
    "spacing": (0.5, 4),
    "synthetic_patients": (0, MOST_SYNTHETIC_PATIENTS),
    "real_share": (0, 1),
    "first_patient": (0, MOST_SYNTHETIC_PATIENTS),
    "validation_patients": (0, 1000),
    "epochs": (1, 100_000),
    "patches_per_case": (1, 1000),
    "tumor_share": (0, 1),
    "batch_size": (1, 64),
    "accumulation": (1, 1024),
    "dice_smoothing": (0, 1e4),
    "absent_smoothing": (0, 1e6),
    "learning_rate": (1e-9, 10),
    "momentum": (0, 0.9999),
    "second_moment": (0, 0.99999),
    "weight_decay": (0, 1),
    "warm_up_steps": (0, 100_000),
    "clip_norm": (0, 1e6),
    "average_decay": (0, 0.99999),
    "validate_every": (1, 100_000),
    "validation_overlap": (0, 0.9),
    "workers": (0, 64),
    "checkpoint_every_s": (0, 86_400),
}


def configuration_of(
    architecture: str, preset: PresetName, overrides: Mapping[str, Any] | None = None
) -> TrainingConfiguration:
    """One architecture's configuration.

    Args:
        architecture: a name in `tokenunet.networks.architectures`.
        preset: ``paper``: the paper's protocol to the letter. ``robust``: longer and augmented, for results that
            carry over to other scanners. ``quick``: a first result in minutes, at 2 mm. ``synthetic``: the coarse stage
            of a training without data, see `tokenunet.training.config.stages`. ``few_shot``: continues
            from the shipped weights on 5 to 50 patients. ``default_model``: how the shipped weights were trained. Both
            start from random weights where the architecture is not that of the shipped ones.
        overrides: values that replace the preset's; strings are converted.

    Raises:
        UsageError: for an unknown preset, field or architecture, or a value out of range.
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
        network = build_network(architecture, **configuration.arguments)
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
    """The value in its field's type; from the command line it comes as text."""
    kind = get_type_hints(TrainingConfiguration)[name]
    try:
        if name == "arguments":
            return dict(json.loads(value) if isinstance(value, str) else value)
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
