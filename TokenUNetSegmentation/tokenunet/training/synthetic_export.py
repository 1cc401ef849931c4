"""Makes a model bundle of a training on synthetic patients.

python -m tokenunet.training.synthetic_export --training FINE --bundle Resources/Models/token_unet_transformer

After it, `tokenunet.evaluation.mask_calibration` notes in the bundle which of its masks follow tumour.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import safetensors.torch

from tokenunet.bundle import ModelManifest, save_bundle
from tokenunet.networks import build_network
from tokenunet.regions import REGIONS
from tokenunet.training.synthetic import LOG_NAME, WEIGHTS_NAME

INTENDED_USE = (
    "Research on glioma segmentation in skull-stripped, co-registered T1, T1ce, T2 and FLAIR of adults before surgery. "
    "Trained on synthetic patients only, without any patient data. "
    "Not a medical device; not for diagnosis or treatment."
)


def training_summary(log: Path) -> dict[str, Any]:
    """What the log of a training says about the weights kept: settings, last step, and the best validation."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    settings = [line["training"] for line in lines if "training" in line][-1]
    validations = [line for line in lines if "validation" in line]
    best = max(validations, key=lambda line: line["validation"]["mean"])
    return {
        "data": "synthetic patients",
        "settings": settings,
        "step": best["step"],
        "synthetic_validation_dice": {name: best["validation"][name] for name in REGIONS if name in best["validation"]},
        "validation_cases": settings["validation_cases"],
    }


def export(training: Path, bundle: Path, title: str, note: str = "") -> Path:
    """Writes the bundle of a training's best weights; returns its folder.

    Args:
        training: output folder of `tokenunet.training.synthetic`, the last one of a chain.
        bundle: folder to write.
        title: the model's name as shown to users.
        note: what else a user should know about the training.

    Raises:
        OutputError: where the bundle cannot be written.
    """
    summary = training_summary(training / LOG_NAME)
    settings = summary["settings"]
    network = build_network(settings["architecture"], **settings["arguments"])
    network.load_state_dict(safetensors.torch.load_file(training / WEIGHTS_NAME))
    manifest = ModelManifest(
        name=title,
        architecture=settings["architecture"],
        arguments=settings["arguments"],
        spacing=(settings["spacing"],) * 3,
        training=summary | {"note": note},
        licence="Apache-2.0",
        intended_use=INTENDED_USE,
    )
    return save_bundle(bundle, manifest, [network])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--title", default="Token-UNet with transformer, synthetic patients")
    parser.add_argument("--note", default="", help="what else a user should know about the training")
    print(export(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
