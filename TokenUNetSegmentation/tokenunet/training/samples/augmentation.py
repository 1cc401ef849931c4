"""Augmentation of patches."""

import numpy as np
from monai.transforms import (
    Compose,
    RandAdjustContrastd,
    RandAffined,
    RandBiasFieldd,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSimulateLowResolutiond,
)
from torch import Tensor


def _transform() -> Compose:
    """Return the random transforms of shape and contrast, with the ranges of nnU-Net.

    Rotations are up to 30 degrees, scales from 0.7 to 1.4, and noise up to a tenth of the brain's standard deviation.
    """
    both, image = ("image", "regions"), "image"
    turn = np.pi / 6
    return Compose(
        [
            *(RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in range(3)),
            RandAffined(
                both,
                prob=0.3,
                rotate_range=(turn,) * 3,
                scale_range=(-0.3, 0.4),
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            RandGaussianNoised(image, prob=0.15, std=0.1),
            RandGaussianSmoothd(image, prob=0.1, sigma_x=(0.5, 1.0), sigma_y=(0.5, 1.0), sigma_z=(0.5, 1.0)),
            RandSimulateLowResolutiond(image, prob=0.1, zoom_range=(0.5, 1.0)),
            RandBiasFieldd(image, prob=0.15, coeff_range=(0.0, 0.3)),
            RandScaleIntensityd(image, prob=0.3, factors=0.25, channel_wise=True),
            RandShiftIntensityd(image, prob=0.15, offsets=0.25, channel_wise=True),
            RandAdjustContrastd(image, prob=0.15, gamma=(0.7, 1.5), retain_stats=True),
        ]
    )


def augmented(image: Tensor, regions: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Augment a patch; the same seed gives the same result.

    Args:
        image: Image (C, D, H, W), float32.
        regions: Regions (3, D, H, W), uint8.
        seed: Seed of all random draws.

    Returns:
        Augmented image and regions of the same shapes.
    """
    transform = _transform()
    transform.set_random_state(seed=seed)
    inside = (image != 0).any(dim=0, keepdim=True).float()
    # The brain mask is transformed, too: noise and offsets must not reach the background, which is 0 in every scan.
    joined = {"image": image, "regions": np.concatenate([regions.numpy(), inside.numpy()]).astype(np.float32)}
    result = transform(joined)
    moved = result["regions"].as_tensor()
    return result["image"].as_tensor() * moved[3:], moved[:3].byte()
