"""Dice on the validation cases during a training."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor, nn

from tokenunet.core.dice import dice
from tokenunet.core.regions import REGIONS
from tokenunet.training.config.configuration import TrainingConfiguration
from tokenunet.training.samples.cases import TrainingCase, brain_view


@torch.inference_mode()
def dice_of_cases(
    network: nn.Module,
    cases: Sequence[TrainingCase],
    configuration: TrainingConfiguration,
    device: torch.device,
    on_case: Callable[[], None],
) -> Tensor:
    """Compute the Dice of every case and region on the prepared grid.

    Cases are segmented by a sliding window of the patch size, or as whole brains if the network is trained on them.

    Args:
        network: Network on `device`; left in evaluation mode.
        cases: Validation cases.
        configuration: Settings of the training.
        device: Device of the network.
        on_case: Callback before every case; may raise to stop.

    Returns:
        Dice (cases, 3), float64, in the order of `REGIONS`.
    """
    network.eval()
    scores = torch.zeros(len(cases), len(REGIONS), dtype=torch.float64)
    for number, case in enumerate(cases):
        on_case()
        image = torch.from_numpy(np.array(case.image(), dtype=np.float32))[None].to(device)
        if configuration.whole_brains:
            view = brain_view(image[0], configuration.architecture)
            logits = view.paste(network(view.cut(image)))
        else:
            logits = sliding_window_inference(
                image, configuration.patch_size, 1, network, overlap=configuration.validation_overlap, mode="gaussian"
            )
        brain = (image[0] != 0).any(dim=0)
        predicted = ((logits[0] > 0) & brain).cpu().numpy()
        for region, ground_truth in enumerate(case.regions()):
            scores[number, region] = dice(predicted[region], ground_truth)
    return scores
