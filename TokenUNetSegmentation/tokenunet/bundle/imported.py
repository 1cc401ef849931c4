"""How other frameworks prepare scans for a network and run it: the part of a manifest that imported models have.

A model that was trained elsewhere gives the probabilities of its own framework only if scans are normalized,
resampled and cut into windows as that framework does it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tokenunet.core.regions import REGIONS

Normalization = Literal["zscore", "nonzero_zscore", "range_0_1", "none"]
NORMALIZATIONS = ("zscore", "nonzero_zscore", "range_0_1", "none")
NNUNET_OVERLAP = 0.5
"""Overlap of nnU-Net's windows, as a fraction of their size."""


@dataclass(frozen=True)
class Resampling:
    """Interpolation of nnU-Net.

    Attributes:
        order: Order of the splines.
        order_z: Order along the axis of thick slices, if it is resampled separately.
        separate_z: Whether it is; None decides by the voxel sizes.
    """

    order: int
    order_z: int = 0
    separate_z: bool | None = None


@dataclass(frozen=True)
class NnunetInference:
    """What nnU-Net does with scans and logits.

    Attributes:
        spacing: Voxel size of the network's input in mm, along the network's axes.
        axes: For each of the network's axes, which one of z, y and x it is.
        data_resampling: Interpolation of the scans.
        logit_resampling: Interpolation of the logits.
        mirror_axes: Axes of the network that training mirrored.
        mirroring: Whether every window is predicted in all mirrored forms too, which takes up to eight times as long.
    """

    spacing: tuple[float, float, float]
    axes: tuple[int, int, int]
    data_resampling: Resampling
    logit_resampling: Resampling
    mirror_axes: tuple[int, ...] = ()
    mirroring: bool = False


@dataclass(frozen=True)
class MonaiInference:
    """What a MONAI bundle does with scans, other than normalizing them, and with windows.

    Attributes:
        overlap: Overlap of neighboring windows, as a fraction of their size.
        blending: How windows are blended.
        spacing: Voxel size along x, y and z in mm to which scans are resampled; None keeps the scans'.
    """

    overlap: float
    blending: Literal["constant", "gaussian"]
    spacing: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Imported:
    """What only imported models have in their manifest.

    Attributes:
        outputs: Number of the network's output channels.
        region_outputs: Output channels whose probabilities add up to that of each region.
        size_multiple: Number of voxels of which every side of the network's input is a multiple.
        normalizations: Normalization of each channel.
        nnunet: What nnU-Net does, if the model is one of nnU-Net.
        monai: What MONAI does, if the model is a MONAI bundle.
    """

    outputs: int
    region_outputs: dict[str, tuple[int, ...]]
    size_multiple: int
    normalizations: tuple[Normalization, ...]
    nnunet: NnunetInference | None = None
    monai: MonaiInference | None = None

    @property
    def overlap(self) -> float:
        """Overlap of neighboring windows, as a fraction of their size."""
        return self.monai.overlap if self.monai is not None else NNUNET_OVERLAP

    @property
    def passes(self) -> int:
        """Number of passes of each window through each network, of which mirroring makes several."""
        return 2 ** len(self.nnunet.mirror_axes) if self.nnunet is not None and self.nnunet.mirroring else 1

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Imported":
        """Read and check what a manifest holds.

        Raises:
            KeyError: If an entry is missing.
            TypeError: If an entry is of another type, or unknown.
            ValueError: If a value is not usable.
        """
        plain = dict(values)
        plain["region_outputs"] = {region: tuple(outputs) for region, outputs in plain["region_outputs"].items()}
        plain["normalizations"] = tuple(plain["normalizations"])
        if plain.get("nnunet") is not None:
            plain["nnunet"] = _nnunet_from_json(plain["nnunet"])
        if plain.get("monai") is not None:
            spacing = plain["monai"].get("spacing")
            plain["monai"] = MonaiInference(**plain["monai"] | {"spacing": spacing and tuple(spacing)})
        imported = Imported(**plain)
        imported._check()
        return imported

    def _check(self) -> None:
        if not 1 <= self.outputs <= 64 or not 1 <= self.size_multiple <= 512:
            raise ValueError("outputs or size_multiple of the imported model are out of range")
        if sorted(self.region_outputs) != sorted(REGIONS):
            raise ValueError(f"regions of the imported model must be {', '.join(REGIONS)}")
        used = [output for outputs in self.region_outputs.values() for output in outputs]
        if not all(self.region_outputs.values()) or not all(0 <= output < self.outputs for output in used):
            raise ValueError(f"regions of the imported model are made of outputs that it does not have: {used}")
        if unknown := [name for name in self.normalizations if name not in NORMALIZATIONS]:
            raise ValueError(f"unknown normalization {unknown[0]!r}")
        if (self.nnunet is None) == (self.monai is None):
            raise ValueError("an imported model must be of nnU-Net or of MONAI")
        if self.monai and not (0 <= self.monai.overlap < 1 and self.monai.blending in ("constant", "gaussian")):
            raise ValueError("the sliding window of the imported model is not usable")
        if self.monai and self.monai.spacing:
            _check_spacing(self.monai.spacing)
        if self.nnunet:
            _check_nnunet(self.nnunet)


def _nnunet_from_json(values: Mapping[str, Any]) -> NnunetInference:
    plain = dict(values)
    for name in ("spacing", "axes", "mirror_axes"):
        plain[name] = tuple(plain[name])
    for name in ("data_resampling", "logit_resampling"):
        plain[name] = Resampling(**plain[name])
    return NnunetInference(**plain)


def _check_spacing(spacing: tuple[float, ...]) -> None:
    if len(spacing) != 3 or not all(0.1 <= size <= 20 for size in spacing):
        raise ValueError(f"spacing {spacing} is not three sizes between 0.1 and 20 mm")


def _check_nnunet(nnunet: NnunetInference) -> None:
    _check_spacing(nnunet.spacing)
    if sorted(nnunet.axes) != [0, 1, 2] or not set(nnunet.mirror_axes) <= {0, 1, 2}:
        raise ValueError(f"axes {nnunet.axes} or mirrored axes {nnunet.mirror_axes} are not those of a volume")
    for resampling in (nnunet.data_resampling, nnunet.logit_resampling):
        if not (0 <= resampling.order <= 5 and 0 <= resampling.order_z <= 5):
            raise ValueError(f"order {resampling.order} of the interpolation is not from 0 to 5")
