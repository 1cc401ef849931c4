"""Manifest of a model bundle, ``model.json``: everything but the weights."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from tokenunet.bundle.imported import Imported
from tokenunet.core.channels import ChannelSet, OptionalChannels, channels_named
from tokenunet.core.errors import ArchitectureError, ChannelError, ModelError
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.old_keys import with_current_keys
from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.core.sequences import ALIASES, SEQUENCES, SequenceName
from tokenunet.networks import architecture
from tokenunet.review.calibration import ReviewCalibration

SCHEMA_VERSION = 1
MANIFEST_NAME = "model.json"
_LARGEST_ARGUMENT = 4096
_MOST_MEMBERS = 100

CHANNEL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9+-]{0,31}")
"""Channel names become part of file names, options and node references."""

Normalization = Literal["zscore"]
Activation = Literal["sigmoid", "softmax"]


@dataclass(frozen=True)
class Channel:
    """Input channel.

    Attributes:
        name: Name of the channel, usually that of a sequence.
        aliases: Other accepted names.
    """

    name: SequenceName
    aliases: tuple[str, ...] = ()


def manifest_channels(names: Sequence[SequenceName]) -> tuple[Channel, ...]:
    """Return the channels of a manifest, with the usual aliases of their names."""
    return tuple(Channel(name, aliases) for name, aliases in channels_named(names).aliases.items())


@dataclass(frozen=True)
class ModelManifest:
    """Content of ``model.json``.

    Attributes:
        name: Display name of the model.
        architecture: Name of a registered architecture.
        arguments: The architecture's own arguments.
        channels: Input channels in the network's order.
        optional_channels: Sets of channels that may be missing; the network receives 0 in their place.
        regions: Names of the regions in the order of the network's outputs. With ``softmax``, the outputs are the
            background and the exclusive labels NCR, ED and ET instead, and the regions are sums of them.
        labels: Values of the exclusive labels NCR, ED and ET in the training data.
        activation: ``sigmoid`` for independent regions, ``softmax`` for exclusive labels.
        spacing: Voxel size of the network's input along x, y and z in mm.
        orientation: Anatomical directions toward which x, y and z grow, such as ``LPS``.
        normalization: ``zscore`` is zero mean and unit variance inside the brain, 0 outside, for each channel.
        patch_size: Size of the sliding window along z, y and x, or along an imported network's axes, in voxels.
        training: Summary of the training; free form.
        license: SPDX identifier, or a sentence.
        intended_use: Sentence on what the model may and may not be used for.
        second_pass_without: Channels that a second pass leaves out, whose findings are added to the whole tumor that
            the first pass found, and to the core of a tumor that hardly enhances, where the first pass doubts; empty
            for a single pass.
        core_reach_mm: Distance in mm from enhancing tumor and what it encloses, beyond which no core is marked in a
            tumor that enhances; None for no limit.
        least_evidence: Least logit in the surest 0.1 ml of a region, below which it is not marked if all channels are
            given; for WT, ET or both. It belongs to these weights, as logits have no scale of their own.
        usual_evidence: Logit of WT below which a marked tumor is reported as doubtful; None for no such warning.
        coil_profile_limit: Share of a scan's variance that a smooth profile over the brain may explain; if it explains
            more of every scan, as near a surface coil, it is evened out first. None for never.
        least_spread: Spread, by channel, that the z-scores of most of the brain have at least; lower ones, as those of
            T1ce with much enhancement, are scaled.
        members: Number of networks in the bundle, all of this architecture; more than one are an ensemble, such as the
            five folds of a cross-validation, whose probabilities are averaged.
        weights_sha256: SHA-256 of ``weights.safetensors``.
        imported: How scans and windows are processed if another framework trained the model; it goes before
            ``regions`` and ``normalization``.
        review: Calibration of the review; None if none was fitted.
        schema_version: Version of this format.
    """

    name: str
    architecture: str
    arguments: dict[str, Any] = field(default_factory=dict)
    channels: tuple[Channel, ...] = manifest_channels(SEQUENCES)
    optional_channels: tuple[OptionalChannels, ...] = ()
    regions: tuple[str, ...] = REGIONS
    labels: dict[str, int] = field(default_factory=lambda: {"NCR": 1, "ED": 2, "ET": 4})
    activation: Activation = "sigmoid"
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    orientation: str = "LPS"
    normalization: Normalization = "zscore"
    patch_size: tuple[int, int, int] = (128, 128, 128)
    training: dict[str, Any] = field(default_factory=dict)
    license: str = ""
    intended_use: str = ""
    second_pass_without: tuple[str, ...] = ()
    core_reach_mm: float | None = None
    least_evidence: dict[RegionName, float] = field(default_factory=dict)
    usual_evidence: float | None = None
    coil_profile_limit: float | None = None
    least_spread: dict[str, float] = field(default_factory=dict)
    members: int = 1
    weights_sha256: str = ""
    imported: Imported | None = None
    review: ReviewCalibration | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def space(self) -> ModelSpace:
        """Channels, voxel size and orientation of the network's input."""
        channels = tuple(c.name for c in self.channels)
        if self.imported is None:
            return ModelSpace(
                channels,
                self.spacing,
                self.orientation,
                coil_profile_limit=self.coil_profile_limit,
                least_spread=self.least_spread,
            )
        on_brains = "nonzero_zscore" in self.imported.normalizations
        # The model's framework resamples the scans in its own way.
        return ModelSpace(channels, self.spacing, self.orientation, "brain" if on_brains else "head", resamples=False)

    @property
    def inputs(self) -> ChannelSet:
        """Names and aliases of the input channels, and which may be missing."""
        return ChannelSet({c.name: c.aliases for c in self.channels}, self.optional_channels)

    @property
    def outputs(self) -> int:
        """Number of the network's output channels."""
        if self.imported is not None:
            return self.imported.outputs
        return len(self.regions) + (self.activation == "softmax")

    @property
    def supervised_maps(self) -> tuple[RegionName, ...]:
        """Regions to which the training tied the first maps of TokenLearner; empty if none, or if they are unknown."""
        named = self.training.get("supervised_maps", ())
        known = isinstance(named, list | tuple) and all(name in REGIONS for name in named)
        return tuple(named) if known else ()

    @property
    def kind(self) -> str:
        """Architecture and number of ensemble members, such as "unet_star, ensemble of 5"."""
        return self.architecture + (f", ensemble of {self.members}" if self.members > 1 else "")

    def to_json(self) -> str:
        """Return the text of ``model.json``."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @staticmethod
    def from_json(text: str | bytes, source: str) -> "ModelManifest":
        """Parse and check the text of ``model.json``.

        Args:
            text: Text of the file.
            source: Path of the bundle, for errors.

        Raises:
            ModelError: If the text is not a JSON object, has another schema version, or contains unusable values.
        """
        try:
            values = with_current_keys(json.loads(text))
        except ValueError as error:
            raise ModelError(f"{MANIFEST_NAME} of {source} is not valid JSON: {error}") from error
        if not isinstance(values, dict):
            raise ModelError(f"{MANIFEST_NAME} of {source} is not a JSON object.")
        if values.get("schema_version") != SCHEMA_VERSION:
            raise ModelError(
                f"{source} has schema version {values.get('schema_version')!r}; this program reads {SCHEMA_VERSION}.",
                "Install a newer Token-UNet, or export the model again.",
            )
        unknown = set(values) - {f.name for f in fields(ModelManifest)}
        if unknown:
            raise ModelError(f"{MANIFEST_NAME} of {source} has unknown fields: {', '.join(sorted(unknown))}.")
        try:
            values["channels"] = tuple(Channel(c["name"], tuple(c["aliases"])) for c in values["channels"])
            values["optional_channels"] = tuple(
                OptionalChannels(tuple(o["channels"]), dict(o["dice_change"]))
                for o in values.get("optional_channels", ())
            )
            for name in ("regions", "spacing", "patch_size"):
                values[name] = tuple(values[name])
            values["second_pass_without"] = tuple(values.get("second_pass_without", ()))
            if values.get("imported") is not None:
                values["imported"] = Imported.from_json(values["imported"])
            if values.get("review") is not None:
                values["review"] = ReviewCalibration.from_json(values["review"])
            manifest = ModelManifest(**values)
            manifest._check_channels(source)
            manifest._check()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{MANIFEST_NAME} of {source} is not usable: {error}") from error
        return manifest

    def _check_channels(self, source: str) -> None:
        """Check the channels and their aliases.

        Raises:
            ChannelError: If a channel is unknown, named twice, or has an unusable name.
        """

        def refuse(problem: str) -> None:
            raise ChannelError(
                f"{MANIFEST_NAME} of {source} {problem}.", "Correct its channels, or export the model again."
            )

        names = [c.name for c in self.channels]
        if not names:
            refuse("names no channels")
        for name in names:
            if not isinstance(name, str) or not CHANNEL_NAME.fullmatch(name):
                refuse(f"names the unknown channel {name!r}: a name has letters, digits, + and -")
        spellings: dict[str, str] = {}
        for channel in self.channels:
            usual = next((s for s in SEQUENCES if channel.name.lower() in (s.lower(), *ALIASES[s])), channel.name)
            if usual != channel.name:
                refuse(f"names the unknown channel {channel.name}, which must be called {usual}")
            taken = [a for a in channel.aliases for s in SEQUENCES if s != usual and a.lower() in ALIASES[s]]
            if taken:
                refuse(f"gives {channel.name} the name {taken[0]}, which belongs to another sequence")
            for spelling in {channel.name.lower(), *(alias.lower() for alias in channel.aliases)}:
                if spelling in spellings:
                    refuse(f"names {spelling} twice: as {spellings[spelling]} and as {channel.name}")
                spellings[spelling] = channel.name
        for option in self.optional_channels:
            if unknown := [name for name in option.channels if name not in names]:
                refuse(f"lets the unknown channel {unknown[0]} be missing")
            if len(set(option.channels)) != len(option.channels) or not 0 < len(option.channels) < len(names):
                refuse(f"lets {' and '.join(option.channels) or 'nothing'} be missing, which cannot be")
        if unknown := [name for name in self.second_pass_without if name not in names]:
            refuse(f"leaves the unknown channel {unknown[0]} out of the second pass")

    def _check(self) -> None:
        """Check that all values are known and in range.

        Raises:
            ValueError: If a value is unknown or out of range.
            TypeError: If a value has the wrong type.
        """
        try:
            known = architecture(self.architecture)
        except ArchitectureError as error:
            raise ValueError(f"unknown architecture {self.architecture!r}") from error
        if sorted(self.regions) != sorted(REGIONS):
            raise ValueError(f"regions must be {', '.join(REGIONS)} in any order")
        if self.activation not in ("sigmoid", "softmax"):
            raise ValueError(f"unknown activation {self.activation!r}")
        if self.second_pass_without and self.activation != "sigmoid":
            raise ValueError("a second pass needs the activation sigmoid")
        if self.core_reach_mm is not None and not (self.activation == "sigmoid" and 0 < self.core_reach_mm <= 100):
            raise ValueError("core_reach_mm needs a length up to 100 mm, and the activation sigmoid")
        if self.least_evidence and (self.activation != "sigmoid" or self.members != 1):
            raise ValueError("least_evidence needs the activation sigmoid, and a single network")
        if not set(self.least_evidence) <= set(REGIONS):
            raise ValueError(f"least_evidence names a region that is none of {', '.join(REGIONS)}")
        for value in (*self.least_evidence.values(), 0 if self.usual_evidence is None else self.usual_evidence):
            if not -100 <= value <= 100:
                raise ValueError(f"{value} is not a logit between -100 and 100")
        if self.coil_profile_limit is not None and not (self.imported is None and 0 < self.coil_profile_limit < 1):
            raise ValueError("coil_profile_limit needs a share between 0 and 1, and a model of its own normalization")
        if not set(self.least_spread) <= (set(self.inputs.names) if self.imported is None else set()):
            raise ValueError("least_spread names a channel that the model does not have, or does not normalize itself")
        if not all(0 < value <= 1 for value in self.least_spread.values()):
            raise ValueError("least_spread needs a spread above 0, up to 1")
        if self.normalization != "zscore":
            raise ValueError(f"unknown normalization {self.normalization!r}")
        if len(self.spacing) != 3 or not all(0.1 <= s <= 10 for s in self.spacing):
            raise ValueError(f"spacing {self.spacing} is not three sizes between 0.1 and 10 mm")
        axes = ("LR", "AP", "IS")
        if len(self.orientation) != 3 or not all(sum(c in axis for c in self.orientation) == 1 for axis in axes):
            raise ValueError(f"orientation {self.orientation!r} is not three letters such as LPS")
        least = 32 if self.imported is None else 1
        if len(self.patch_size) != 3 or not all(isinstance(s, int) and least <= s <= 512 for s in self.patch_size):
            raise ValueError(f"patch size {self.patch_size} is not three whole numbers from {least} to 512")
        if self.imported is not None and len(self.imported.normalizations) != len(self.channels):
            raise ValueError("the imported model has not one normalization for each channel")
        if any(s % known.size_multiple for s in self.patch_size):
            raise ValueError(f"patch size {self.patch_size} does not fit {self.architecture}")
        if not isinstance(self.arguments, dict) or not isinstance(self.training, dict):
            raise TypeError("arguments and training must be JSON objects")
        if type(self.members) is not int or not 1 <= self.members <= _MOST_MEMBERS:
            raise ValueError(f"members {self.members!r} is not a whole number from 1 to {_MOST_MEMBERS}")
        for value in self.arguments.values():
            numbers = value if isinstance(value, list) else [value]
            if any(isinstance(n, int | float) and not 0 <= n <= _LARGEST_ARGUMENT for n in numbers):
                raise ValueError(f"architecture argument {value!r} is out of range")
