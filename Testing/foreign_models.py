"""Tiny models as nnU-Net and MONAI leave them, with random weights."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch

LABELS = {"background": 0, "edema": 1, "non-enhancing tumor": 2, "enhancing tumor": 3}
REGIONS = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]}
CHANNELS = {"0": "T1", "1": "T1ce", "2": "T2", "3": "FLAIR"}
LAYERS = {
    "conv_op": "torch.nn.modules.conv.Conv3d",
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
    "dropout_op": None,
    "nonlin": "torch.nn.LeakyReLU",
}
PLAIN = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 3,
        "features_per_stage": [4, 8, 8],
        "kernel_sizes": [[3, 3, 3]] * 3,
        "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
        "n_conv_per_stage": [2, 2, 2],
        "n_conv_per_stage_decoder": [2, 2],
        "conv_bias": True,
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op_kwargs": None,
        "nonlin_kwargs": {"inplace": True},
        **LAYERS,
    },
    "_kw_requires_import": list(LAYERS),
}
RESIDUAL = deepcopy(PLAIN)
RESIDUAL["network_class_name"] = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
RESIDUAL["arch_kwargs"]["n_blocks_per_stage"] = RESIDUAL["arch_kwargs"].pop("n_conv_per_stage")


def plans(architecture: dict[str, Any] = PLAIN, spacing: tuple[float, ...] = (2.5, 3.0, 3.5)) -> dict[str, Any]:
    """Return plans of nnU-Net, with what importing and predicting need of them."""
    resampling = {"is_seg": False, "order_z": 0, "force_separate_z": None}
    return {
        "dataset_name": "Dataset501_Tiny",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [2, 0, 1],
        "transpose_backward": [1, 2, 0],
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {key: {} for key in CHANNELS},
        "configurations": {
            "3d_fullres": {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": [32, 24, 32],
                "spacing": list(spacing),
                "normalization_schemes": ["ZScoreNormalization"] * 4,
                "use_mask_for_norm": [True] * 4,
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_seg": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": resampling | {"order": 3},
                "resampling_fn_seg_kwargs": resampling | {"is_seg": True, "order": 1},
                "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
                "resampling_fn_probabilities_kwargs": resampling | {"order": 1},
                "architecture": deepcopy(architecture),
            }
        },
    }


def nnunet_network(architecture: dict[str, Any], outputs: int) -> torch.nn.Module:
    """Build a network as nnU-Net does."""
    from dynamic_network_architectures.architectures import unet

    layers = {
        "conv_op": torch.nn.Conv3d,
        "norm_op": torch.nn.InstanceNorm3d,
        "dropout_op": None,
        "nonlin": torch.nn.LeakyReLU,
    }
    build = getattr(unet, architecture["network_class_name"].split(".")[-1])
    return build(
        input_channels=len(CHANNELS),
        num_classes=outputs,
        deep_supervision=True,
        **(architecture["arch_kwargs"] | layers),
    )


def write_nnunet_model(
    folder: Path,
    described: dict[str, Any] | None = None,
    labels: dict[str, Any] = LABELS,
    folds: int = 1,
) -> Path:
    """Write a trained-model folder; its checkpoints hold what those of nnU-Net hold."""
    described = described or plans()
    dataset = {"channel_names": CHANNELS, "labels": labels, "file_ending": ".nii.gz", "numTraining": 3}
    if labels is REGIONS:
        dataset["regions_class_order"] = [1, 2, 3]
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(described))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    architecture = described["configurations"]["3d_fullres"]["architecture"]
    for fold in range(folds):
        torch.manual_seed(fold)
        network = nnunet_network(architecture, 3 if labels is REGIONS else 4)
        for parameter in network.parameters():  # far from uniform, so that an error would show
            parameter.data *= 2
        checkpoint = {
            "network_weights": network.state_dict(),
            "optimizer_state": torch.optim.SGD(network.parameters(), 0.01, momentum=0.99).state_dict(),
            "grad_scaler_state": None,
            "logging": {"mean_fg_dice": [np.float64(0.5)], "epoch_start_timestamps": [1.0]},
            "_best_ema": np.float32(0.5),
            "current_epoch": 1,
            "init_args": {
                "plans": described,
                "configuration": "3d_fullres",
                "fold": fold,
                "dataset_json": dataset,
                "device": torch.device("cpu"),
            },
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": (0, 1, 2),
        }
        (folder / f"fold_{fold}").mkdir()
        torch.save(checkpoint, folder / f"fold_{fold}" / "checkpoint_final.pth")
    return folder


MONAI_ARGUMENTS: dict[str, dict[str, Any]] = {
    "SegResNet": {"blocks_down": [1, 1, 1], "blocks_up": [1, 1], "init_filters": 8, "dropout_prob": 0.2},
    "SwinUNETR": {"feature_size": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2]},
    "UNet": {"spatial_dims": 3, "channels": [4, 8, 16], "strides": [2, 2], "num_res_units": 1},
}


def write_monai_bundle(folder: Path, network: str = "SegResNet", **changes: Any) -> Path:
    """Write a bundle such as MONAI's ``brats_mri_segmentation``; ``changes`` replace parts of ``inference.json``."""
    from monai.bundle import init_bundle
    from monai.networks import nets

    arguments = {**MONAI_ARGUMENTS[network], "in_channels": 4, "out_channels": 3}
    inference = {
        "imports": ["$import os"],
        "bundle_root": ".",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": {"_target_": network, **arguments},
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
            ],
        },
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": [32, 64, 32],
            "sw_batch_size": 1,
            "overlap": 0.5,
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "Activationsd", "keys": "pred", "sigmoid": True}],
        },
    }
    metadata = {
        "name": "BraTS MRI segmentation",
        "version": "0.5.2",
        "authors": "MONAI team",
        "intended_use": "This is an example, not to be used for diagnostic purposes",
        "network_data_format": {
            "inputs": {"image": {"channel_def": {"0": "T1c", "1": "T1", "2": "T2", "3": "FLAIR"}}},
            "outputs": {"pred": {"channel_def": {"0": "Tumor core", "1": "Whole tumor", "2": "Enhancing tumor"}}},
        },
    }
    torch.manual_seed(0)
    init_bundle(
        str(folder),
        network=getattr(nets, network)(**arguments),
        metadata_str=json.dumps(metadata),
        inference_str=json.dumps(inference | changes),
    )
    return folder
