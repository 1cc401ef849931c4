"""Benchmark of whole cases, from four files to a written segmentation: the command and baselines."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray

from tokenunet.benchmark.networks import make_network
from tokenunet.benchmark.process import Measurement
from tokenunet.core.errors import TokenUNetError
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.runtime.allocator import reuse_freed_memory
from tokenunet.study.scans import find_sequences
from tokenunet.synthesis import synthetic_patient
from tokenunet.synthesis.writing import write_patient

SEGMENT, SEGMENT_WITH_MAPS = "tokenunet_segment", "tokenunet_segment_with_maps"
MONAI_SWIN_UNETR, NNUNET = "monai_sliding_window_swin_unetr", "nnunet_predictor"
CASES = (SEGMENT, SEGMENT_WITH_MAPS, MONAI_SWIN_UNETR, NNUNET)
Files = Mapping[SequenceName, Path]
VOXELS = 240 * 240 * 155
_SEED = 4
_WINDOW = (128, 128, 128)
_OVERLAP = 0.5


def write_case(folder: Path) -> dict[SequenceName, Path]:
    """Write a synthetic patient of 240 x 240 x 155 voxels of 1 mm.

    Returns:
        Files by sequence.
    """
    return find_sequences(write_patient(synthetic_patient(_SEED), folder))


def run_command(files: Files, output: Path, maps: bool, device: torch.device) -> Measurement:
    """Measure ``tokenunet segment`` with the default model in a new process, as a user runs it.

    Args:
        files: Input files by sequence.
        output: Folder for the results.
        maps: Whether to write attention maps.
        device: Device to run on.

    Raises:
        TokenUNetError: If the command fails.
    """
    inputs = [part for sequence, file in files.items() for part in (f"--{sequence.lower()}", str(file))]
    command = [sys.executable, "-m", "tokenunet", "segment", *inputs, "--output", str(output), "--force"]
    command += ["--device", str(device), "--progress", "json", *(["--attention-maps"] if maps else [])]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        first_progress_s = time.perf_counter() - began
        *_, last = [first, *process.stdout]
    seconds = time.perf_counter() - began
    event = json.loads(last)
    if event["event"] != "result":
        raise TokenUNetError(event.get("message", "tokenunet segment failed."), event.get("hint", ""))
    return Measurement(seconds, event["report"]["peak_memory_bytes"], first_progress_s)


def monai_sliding_window(files: Files, output: Path, device: torch.device) -> Callable[[], object]:
    """Return a sliding-window run of SwinUNETR, as in MONAI's BraTS tutorial."""
    from monai.inferers import sliding_window_inference

    reuse_freed_memory()
    network = make_network("swin_unetr").eval().to(device)

    def run() -> None:
        reference, image = _read(files)
        inside = image != 0
        mean, std = image.mean(axis=(1, 2, 3), where=inside), image.std(axis=(1, 2, 3), where=inside)
        scores = np.where(inside, (image - mean[:, None, None, None]) / std[:, None, None, None], 0)
        x = torch.from_numpy(scores[None].astype(np.float32)).to(device)
        with torch.inference_mode():
            logits: Any = sliding_window_inference(x, _WINDOW, 1, network, overlap=_OVERLAP)
        regions = (logits[0].sigmoid() > 0.5).cpu().numpy()
        _write(regions.sum(axis=0).astype(np.uint8), reference, output)

    return run


def nnunet_predictor(files: Files, output: Path, device: torch.device) -> Callable[[], object]:
    """Return a run of nnU-Net's predictor with its defaults: half-overlapping windows, mirrored along all axes."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    reuse_freed_memory()
    network = make_network("nnunet_plain_conv_unet").eval()
    plans = PlansManager(_nnunet_plans())
    labels = {"background": 0, "NCR": 1, "ED": 2}
    dataset = {"channel_names": dict(enumerate(SEQUENCES)), "labels": labels, "file_ending": ".nii.gz"}
    predictor = nnUNetPredictor(device=device, perform_everything_on_device=device.type == "cuda", allow_tqdm=False)
    configuration = plans.get_configuration("3d_fullres")
    predictor.manual_initialization(
        network, plans, configuration, [network.state_dict()], dataset, "nnUNetTrainer", (0, 1, 2)
    )

    def run() -> None:
        reference, image = _read(files)
        labels = predictor.predict_single_npy_array(image, {"spacing": [1.0, 1.0, 1.0]})
        _write(labels.astype(np.uint8), reference, output)

    return run


def _nnunet_plans() -> dict[str, Any]:
    """Return the part of nnU-Net's plans for such images that the predictor reads."""
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    return {
        "dataset_name": "benchmark",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "foreground_intensity_properties_per_channel": {str(channel): {} for channel in range(len(SEQUENCES))},
        "configurations": {
            "3d_fullres": {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": list(_WINDOW),
                "spacing": [1.0, 1.0, 1.0],
                "normalization_schemes": ["ZScoreNormalization"] * len(SEQUENCES),
                "use_mask_for_norm": [True] * len(SEQUENCES),
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_seg": "resample_data_or_seg_to_shape",
                "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": resampling,
                "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
                "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
                "architecture": {"network_class_name": "PlainConvUNet", "arch_kwargs": {}, "_kw_requires_import": []},
            }
        },
    }


def _read(files: Files) -> tuple[sitk.Image, NDArray[np.float32]]:
    """Read the first image, and all images as one float32 array (C, z, y, x)."""
    images = [sitk.ReadImage(file, sitk.sitkFloat32) for file in files.values()]
    return images[0], np.stack([sitk.GetArrayFromImage(image) for image in images])


def _write(labels: NDArray[np.uint8], reference: sitk.Image, output: Path) -> None:
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(reference)
    output.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, output / "labels.nii.gz", useCompression=True)
