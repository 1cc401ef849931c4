"""Models of nnU-Net and MONAI give what their own frameworks give, and hostile ones give nothing but a sentence."""

import json
import os
import zipfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from foreign_models import (
    LABELS,
    MONAI_ARGUMENTS,
    PLAIN,
    REGIONS,
    RESIDUAL,
    plans,
    write_monai_bundle,
    write_nnunet_model,
)
from scan_fixtures import GRID, study, write_study
from tokenunet.bundle.bundle import load_bundle
from tokenunet.bundle.importers import nnunet
from tokenunet.bundle.importers.archive import open_model
from tokenunet.bundle.importers.checkpoint import Checkpoint
from tokenunet.bundle.importers.read import read_foreign_model
from tokenunet.bundle.store import import_model, stored_models, user_models_folder
from tokenunet.cli import main
from tokenunet.core.errors import ModelError
from tokenunet.core.prediction import Prediction
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.preprocessing import prepare

CPU = InferenceOptions(device="cpu")


@pytest.fixture(autouse=True)
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOKENUNET_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def predicted(model: Path, mirroring: bool = False) -> Prediction:
    bundle = load_bundle(import_model(model, mirroring))
    return predict(prepare(study(), bundle.manifest.space), bundle, CPU)[0]


def intensities(*sequences: str) -> np.ndarray:
    return np.stack([sitk.GetArrayFromImage(study().scans[s].image) for s in sequences])


@pytest.mark.parametrize(
    ("architecture", "labels", "folds", "mirroring"), [(PLAIN, LABELS, 2, True), (RESIDUAL, REGIONS, 1, False)]
)
def test_nnunet_gives_the_probabilities_of_its_own_predictor(
    tmp_path: Path, architecture: dict[str, Any], labels: dict[str, Any], folds: int, mirroring: bool
) -> None:
    """Resampled, with thick windows, permuted axes and all folds; every voxel within 0.001."""
    module = pytest.importorskip(
        "nnunetv2.inference.predict_from_raw_data", reason="nnunetv2 is in the extra benchmark, which is not installed"
    )
    folder = write_nnunet_model(tmp_path / "trained", plans(architecture), labels, folds)
    prediction = predicted(folder, mirroring)
    own = module.nnUNetPredictor(use_mirroring=mirroring, device=torch.device("cpu"), allow_tqdm=False)
    own.initialize_from_trained_model_folder(str(folder), tuple(range(folds)))
    scans = intensities("T1", "T1ce", "T2", "FLAIR")
    _, outputs = own.predict_single_npy_array(scans, {"spacing": list(GRID.spacing[::-1])}, None, None, True)
    edema, core, enhancing = (outputs[1], outputs[2], outputs[3]) if labels is LABELS else (0, 0, 0)
    expected = np.stack([edema + core + enhancing, core + enhancing, enhancing]) if labels is LABELS else outputs
    assert expected.std() > 0.1
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-3)


@pytest.mark.parametrize("network", list(MONAI_ARGUMENTS))
def test_monai_bundle_gives_what_monai_gives(tmp_path: Path, network: str) -> None:
    from monai.bundle import ConfigParser

    folder = write_monai_bundle(tmp_path / "bundle", network)
    prediction = predicted(folder)
    parser = ConfigParser()
    parser.read_config(folder / "configs/inference.json")
    own = parser.get_parsed_content("network_def").eval()
    own.load_state_dict(torch.load(folder / "models/model.pt", weights_only=True))
    scans = torch.from_numpy(intensities("T1ce", "T1", "T2", "FLAIR")).permute(0, 3, 2, 1)
    scans = parser.get_parsed_content("preprocessing#transforms#1")({"image": scans})["image"]
    with torch.inference_mode():
        logits = parser.get_parsed_content("inferer")(scans[None], own)[0].permute(0, 3, 2, 1)
    core, whole, enhancing = logits.sigmoid().numpy()
    assert whole.std() > 0.01
    np.testing.assert_allclose(prediction.probabilities, np.stack([whole, core, enhancing]), atol=2e-5)


RESAMPLED = {
    "_target_": "Compose",
    "transforms": [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "ScaleIntensityd", "keys": "image", "_disabled_": True},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
        {"_target_": "Spacingd", "keys": "image", "pixdim": [2.0, 2.5, 4.0], "mode": "bilinear"},
        {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
    ],
}


def test_monai_bundle_that_resamples_gives_what_monai_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another orientation and voxel size: logits within 0.0001, and the probabilities that MONAI resamples back."""
    from monai.bundle import ConfigParser
    from monai.data import MetaTensor
    from tokenunet.inference import imported

    seen: list[torch.Tensor] = []
    own_logits = imported.monai_logits
    monkeypatch.setattr(imported, "monai_logits", lambda *given: seen.append(own_logits(*given)) or seen[0])
    folder = write_monai_bundle(tmp_path / "bundle", preprocessing=RESAMPLED)
    prediction = predicted(folder)
    parser = ConfigParser()
    parser.read_config(folder / "configs/inference.json")
    own = parser.get_parsed_content("network_def").eval()
    own.load_state_dict(torch.load(folder / "models/model.pt", weights_only=True))
    scans = torch.from_numpy(intensities("T1ce", "T1", "T2", "FLAIR")).permute(0, 3, 2, 1)
    # MONAI's Orientationd needs nibabel; from LPS to RAS it flips x and y.
    oriented = MetaTensor(scans.flip(1, 2), affine=np.diag([*GRID.spacing, 1.0]))
    resample, normalize = (parser.get_parsed_content(f"preprocessing#transforms#{n}") for n in (3, 4))
    image = normalize(resample({"image": oriented}))["image"]
    assert image.shape[1:] != scans.shape[1:]
    with torch.inference_mode():
        logits = parser.get_parsed_content("inferer")(image[None], own)[0]
    np.testing.assert_allclose(seen[0].numpy(), logits.numpy(), atol=1e-4)
    outputs = MetaTensor(
        logits.sigmoid().as_subclass(torch.Tensor), affine=image.affine, applied_operations=image.applied_operations
    )
    core, whole, enhancing = resample.inverse({"image": outputs})["image"].permute(0, 3, 2, 1).numpy()
    np.testing.assert_allclose(prediction.probabilities, np.stack([whole, core, enhancing]), atol=2e-5)


def test_imported_nnunet_segments_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An exported zip becomes a model in the list, with a card; its folds are an ensemble."""
    folder = write_nnunet_model(tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres", folds=2)
    archive = tmp_path / "exported.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for file in sorted(folder.rglob("*.*")):
            zipped.write(file, f"Dataset501_Tiny/{folder.name}/{file.relative_to(folder).as_posix()}")
    assert main(["models", "import", str(archive)]) == 0
    assert "Imported as Dataset501_Tiny." in capsys.readouterr().out
    (model,) = [m for m in stored_models() if m.name == "Dataset501_Tiny"]
    assert model.manifest.members == 2
    assert model.manifest.training["framework"] == "nnU-Net v2"
    assert "imported from: exported.zip" in (model.path / "card.md").read_text()
    write_study(tmp_path)
    arguments = ["--input", str(tmp_path), "--output", str(tmp_path / "out"), "--model", model.name, "--device", "cpu"]
    assert main(["segment", *arguments]) == 0
    report = json.loads((tmp_path / "out/run.json").read_text())
    assert report["mode"] == "sliding_window"
    assert report["volumes_range_ml"]["WT"]
    assert main(["segment", *arguments, "--force", "--attention-maps"]) == 4


@pytest.fixture
def checkpoints_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the process that reads weights where the description alone is at stake."""
    facts = {"configuration": "3d_fullres", "mirror_axes": [0, 1, 2]}
    monkeypatch.setattr(nnunet, "read_checkpoint", lambda files, name: Checkpoint({}, facts))


def old_plans() -> dict[str, Any]:
    """Plans as nnU-Net wrote them before version 2.3."""
    described = plans()
    configuration = described["configurations"]["3d_fullres"]
    arguments = configuration.pop("architecture")["arch_kwargs"]
    return described | {
        "configurations": {
            "base": configuration,
            "3d_fullres": {
                "inherits_from": "base",
                "UNet_class_name": "PlainConvUNet",
                "UNet_base_num_features": 4,
                "unet_max_num_features": 8,
                "n_conv_per_stage_encoder": arguments["n_conv_per_stage"],
                "n_conv_per_stage_decoder": arguments["n_conv_per_stage_decoder"],
                "conv_kernel_sizes": arguments["kernel_sizes"],
                "pool_op_kernel_sizes": arguments["strides"],
            },
        }
    }


@pytest.mark.usefixtures("checkpoints_unread")
def test_nnunet_with_old_plans_is_the_same_network(tmp_path: Path) -> None:
    folder = write_nnunet_model(tmp_path / "trained")
    new = nnunet.import_nnunet(open_model(folder)).manifest
    (folder / "plans.json").write_text(json.dumps(old_plans()))
    old = nnunet.import_nnunet(open_model(folder)).manifest
    assert old.arguments == {name: value for name, value in new.arguments.items() if name in old.arguments}
    assert old.architecture == new.architecture == "nnunet_plain_conv_unet"


@pytest.mark.usefixtures("checkpoints_unread")
@pytest.mark.parametrize(("mirroring", "passes"), [(False, 1), (True, 8)])
def test_mirrored_windows_count_as_passes(tmp_path: Path, mirroring: bool, passes: int) -> None:
    files = open_model(write_nnunet_model(tmp_path / "trained"))
    imported = nnunet.import_nnunet(files, mirroring).manifest.imported
    assert imported is not None
    assert (imported.passes, imported.overlap) == (passes, 0.5)


def changed_plans(*path: str, value: object) -> dict[str, Any]:
    described = deepcopy(plans())
    inner = described["configurations"]["3d_fullres"]
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return described


@pytest.mark.usefixtures("checkpoints_unread")
@pytest.mark.parametrize(
    ("described", "sentence"),
    [
        (changed_plans("architecture", "network_class_name", value="os.system"), "network class 'os.system'"),
        (changed_plans("architecture", "arch_kwargs", "conv_op", value="os.system"), "layer 'os.system'"),
        (changed_plans("architecture", "arch_kwargs", "n_stages", value=99), "has 99 stages"),
        (changed_plans("architecture", "arch_kwargs", "features_per_stage", value=[4096] * 3), "do not fit"),
        (changed_plans("patch_size", value=[32, 32]), "2-D model"),
        (changed_plans("previous_stage", value="3d_lowres"), "second stage of a cascade"),
        (changed_plans("normalization_schemes", value=["CTNormalization"] * 4), "normalization 'CTNormalization'"),
        (plans() | {"image_reader_writer": "Tiff3DIO"}, "read by 'Tiff3DIO'"),
        (plans() | {"configurations": {}}, "no configuration '3d_fullres'"),
        (plans() | {"transpose_forward": [0, 0, 1]}, "not usable"),
        ({}, "not usable"),
    ],
)
def test_unusable_plans_cost_one_sentence(tmp_path: Path, described: dict[str, Any], sentence: str) -> None:
    folder = write_nnunet_model(tmp_path / "trained")
    (folder / "plans.json").write_text(json.dumps(described))
    with pytest.raises(ModelError, match=sentence) as caught:
        import_model(folder)
    assert caught.value.exit_code == 4
    assert not user_models_folder().exists()


@pytest.mark.usefixtures("checkpoints_unread")
@pytest.mark.parametrize(
    ("dataset", "sentence"),
    [
        ({"labels": {"background": 0, "liver": 1}}, '"liver"'),
        ({"channel_names": {"0": "MRI", "1": "MRI", "2": "T2", "3": "FLAIR"}}, "mri twice"),
        ({"channel_names": {"0": "T1"}}, "not one normalization for each channel"),
    ],
)
def test_labels_and_channels_must_be_understood(tmp_path: Path, dataset: dict[str, Any], sentence: str) -> None:
    folder = write_nnunet_model(tmp_path / "trained")
    path = folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | dataset))
    with pytest.raises(ModelError, match=sentence):
        read_foreign_model(folder)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"network_def": "$open('created', 'w')"}, r"network_def in .* is the expression .*open\('created', 'w'\)"),
        (
            {"network_def": {"_target_": "SegResNet", "in_channels": 4, "out_channels": "$1 + 2"}},
            "network_def::out_channels .* is the expression '\\$1 \\+ 2'",
        ),
        ({"network_def": {"_target_": "os.system", "command": "touch created"}}, "network class 'system'"),
        ({"network_def": {"_target_": "SegResNet", "in_channels": "@network_def#in_channels"}}, "refers to itself"),
        ({"network_def": {"_target_": "SegResNet", "in_channels": 2, "out_channels": 3}}, "takes 2 channels"),
        ({"inferer": {"_target_": "SimpleInferer"}}, "inferer .* is not supported"),
        (
            {"preprocessing": {"transforms": [{"_target_": "ScaleIntensityd", "keys": "image"}]}},
            "transform 'ScaleIntensityd'",
        ),
        (
            {"preprocessing": {"transforms": RESAMPLED["transforms"][:1:-1]}},
            "transform 'Spacingd' in .* after the one before it",
        ),
        (
            {"preprocessing": {"transforms": [{"_target_": "Spacingd", "pixdim": [1, 1, 1], "mode": "nearest"}]}},
            "mode 'nearest' of the transform 'Spacingd'",
        ),
        (
            {"preprocessing": {"transforms": [{"_target_": "Spacingd", "pixdim": [1, 1, 1], "diagonal": True}]}},
            "diagonal of the transform 'Spacingd'",
        ),
        ({"preprocessing": "$print(1)"}, "preprocessing in .* is the expression"),
        ({"preprocessing": {"transforms": ["$print(1)"]}}, "preprocessing::transforms in .* is the expression"),
        (
            {"inferer": {"_target_": "SlidingWindowInferer", "roi_size": [32, 32, 32], "padding_mode": "reflect"}},
            "padding_mode 'reflect' of the inferer",
        ),
    ],
)
def test_monai_expressions_and_unknown_classes_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_monai_bundle(tmp_path / "bundle", "SegResNet", **changes)
    with pytest.raises(ModelError, match=sentence):
        import_model(folder)
    assert not (tmp_path / "created").exists()
    assert not user_models_folder().exists()


class CreatesFolder:
    """Creates a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_checkpoint_that_would_run_a_command_runs_none(tmp_path: Path) -> None:
    folder = write_nnunet_model(tmp_path / "trained")
    torch.save({"network_weights": CreatesFolder(tmp_path / "created")}, folder / "fold_0/checkpoint_final.pth")
    sentence = r"^fold_0/checkpoint_final.pth of .* it holds \w+.mkdir, not only tensors and plain values.$"
    with pytest.raises(ModelError, match=sentence):
        import_model(folder)
    assert not (tmp_path / "created").exists()
    assert not user_models_folder().exists()


def test_checkpoint_that_claims_ten_gigabytes_is_refused(tmp_path: Path) -> None:
    """A few bytes that would be expanded to a tensor of 10 GB."""
    folder = write_nnunet_model(tmp_path / "trained")
    claimed = torch.zeros(1).expand(2_500_000_000)
    torch.save({"network_weights": {"weight": claimed}}, folder / "fold_0/checkpoint_final.pth")
    with pytest.raises(ModelError, match="cannot be imported"):
        import_model(folder)
    assert not user_models_folder().exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../escaped/plans.json", "leaves the archive"),
        ("/escaped/plans.json", "leaves the archive"),
        ("fold_0/checkpoint_final.pth", "claims 10000000000 bytes"),
    ],
)
def test_hostile_archives_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, sentence: str
) -> None:
    folder, archive = write_nnunet_model(tmp_path / "trained"), tmp_path / "exported.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.write(folder / "dataset.json", "dataset.json")
        zipped.write(folder / "plans.json", "plans.json")
        zipped.writestr(name, b"small")
    data = archive.read_bytes()
    if "claims" in sentence:  # in the central directory, which every reader believes
        at = data.rindex(name.encode()) - 46 + 24
        data = data[:at] + (2**32 - 1).to_bytes(4, "little") + data[at + 4 :]
        sentence = f"claims {2**32 - 1} bytes"
        monkeypatch.setattr("tokenunet.bundle.importers.archive._LARGEST_CHECKPOINT", 2**31)
    archive.write_bytes(data)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(ModelError, match=sentence):
        import_model(archive)
    assert set(tmp_path.rglob("*")) == before
