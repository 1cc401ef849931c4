"""What the presets with augmentation do to a patch."""

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
    """Shapes as scanners and heads vary, contrasts as scanners and protocols do; ranges as in nnU-Net.

    Rotations up to 30 degrees and scales from 0.7 to 1.4; noise up to a tenth of the brain's standard deviation.
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
    """A random variant of a patch; the same seed gives the same one.

    Args:
        image: float32 (C, D, H, W).
        regions: uint8 (3, D, H, W).
        seed: of all random draws.
    """
    transform = _transform()
    transform.set_random_state(seed=seed)
    inside = (image != 0).any(dim=0, keepdim=True).float()
    # The brain's own mask goes along: noise and offsets must not reach the background, which is 0 in every real scan.
    joined = {"image": image, "regions": np.concatenate([regions.numpy(), inside.numpy()]).astype(np.float32)}
    result = transform(joined)
    moved = result["regions"].as_tensor()
    return result["image"].as_tensor() * moved[3:], moved[:3].byte()
