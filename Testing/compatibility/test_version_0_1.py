"""Bundles, experiments, results and scenes written by version 0.1.0 are still read."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from slicer_offscreen import OffscreenHost
from tokenunet.bundle.bundle import load_bundle
from tokenunet.cli import main
from tokenunet.core.sequences import SEQUENCES
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.progress import ExperimentProgress, FoldState
from TokenUNetSegmentationLib.scene.load_result import build_result
from TokenUNetSegmentationLib.scene.overlay_colors import recolor
from TokenUNetSegmentationLib.scene.overlays import range_text
from TokenUNetSegmentationLib.scene.results import PatientResult, all_results
from TokenUNetSegmentationLib.scene.volumes import load_volume

FILES = Path(__file__).parents[1] / "fixtures" / "version_0_1"
PATIENT = FILES / "patients" / "synthetic_00003"
RUN_REPORT = json.loads((FILES / "result" / "run.json").read_text())


@pytest.fixture
def host() -> Iterator[OffscreenHost]:
    with OffscreenHost() as host:
        yield host


def experiment(name: str, folder: Path) -> Path:
    """Copy an experiment and let its paths name the copy."""
    copy = folder / name
    shutil.copytree(FILES / name, copy)
    for file in copy.glob("*.json"):
        file.write_text(file.read_text().replace(f"/data/{name}", copy.as_posix()))
    return copy


@pytest.mark.parametrize(("name", "members"), [("single", 1), ("ensemble", 2)])
def test_bundle_is_read_and_built(name: str, members: int) -> None:
    bundle = load_bundle(FILES / "models" / name)
    assert bundle.manifest.members == members
    assert [channel.name for channel in bundle.manifest.channels] == list(SEQUENCES)
    networks = [bundle.build(member) for member in range(members)]
    assert all(sum(p.numel() for p in network.parameters()) > 0 for network in networks)


def test_bundle_segments_as_it_did(tmp_path: Path) -> None:
    """The labels are those that version 0.1.0 wrote, up to voxels on the edge of rounding."""
    model = FILES / "models" / "ensemble"
    command = ["segment", "--input", PATIENT, "--model", model, "--output", tmp_path / "result", "--device", "cpu"]
    assert main([str(item) for item in command]) == 0
    before, now = (
        sitk.GetArrayFromImage(sitk.ReadImage(folder / "labels.nii.gz"))
        for folder in (FILES / "result", tmp_path / "result")
    )
    assert np.mean(before == now) > 0.999


def test_experiment_is_read_and_exported(tmp_path: Path) -> None:
    folder = experiment("experiment_finished", tmp_path)
    progress = ExperimentProgress(Experiment(folder))
    progress.update()
    assert progress.fraction == 1
    assert [progress.state(fold) for fold in progress.folds] == [FoldState.FINISHED] * 2
    assert main(["export", str(folder), "--output", str(tmp_path / "model")]) == 0
    assert load_bundle(tmp_path / "model").manifest.members == 2


@pytest.mark.slow
def test_stopped_experiment_is_resumed(tmp_path: Path) -> None:
    """The rest of the first stage and all of the second one are trained."""
    folder = experiment("experiment_stopped", tmp_path)
    assert main(["train", "--output", str(folder), "--resume", "--device", "cpu"]) == 0
    coarse, fine = Experiment(folder).jobs()
    assert [line["step"] for line in coarse.log_lines() if line["event"] == "step"] == [1, 2, 3, 4]
    assert coarse.finished
    assert fine.finished


def check_result(result: PatientResult) -> None:
    assert set(result.inputs) == set(SEQUENCES)
    assert result.reference is result.inputs["T1ce"]
    voxel_ml = float(np.prod(result.reference.GetSpacing())) / 1000
    volumes = [round(float(region.sum()) * voxel_ml, 3) for region in result.regions()]
    assert volumes == [RUN_REPORT["volumes_ml"][name] for name in ("WT", "TC", "ET")]
    assert result.report["volumes_range_ml"] == RUN_REPORT["volumes_range_ml"]
    assert list(result.overlay_groups) == ["token_learner", "token_fuser", "ensemble_uncertainty"]
    for group, part in (("token_learner", "TokenLearner"), ("token_fuser", "TokenFuser")):
        names = {number: node.GetName() for number, node in result.overlays(group).items()}
        assert names == {number: f"{part} {number}" for number in range(1, 9)}
    (uncertainty,) = result.overlays("ensemble_uncertainty").values()
    assert np.ptp(slicer.util.arrayFromVolume(uncertainty)) > 0
    assert range_text(uncertainty) == "0 to 0.5 standard deviation"
    assert range_text(result.overlays("token_learner")[1]).endswith("times uniform")
    for group in result.overlay_groups:
        recolor(result, group, slicer.mrmlScene.GetNodeByID("vtkMRMLColorTableNodeRainbow"))
        recolor(result, group, None)


def test_result_is_loaded_into_a_scene(host: OffscreenHost) -> None:
    nodes = {name: load_volume(next(PATIENT.glob(f"*_{name.lower()}.nii.gz")), name) for name in SEQUENCES}
    check_result(build_result(nodes, "T1ce", FILES / "result"))


def test_scene_is_loaded(host: OffscreenHost) -> None:
    host.load(FILES / "scene.mrb")
    [result] = all_results()
    check_result(result)
