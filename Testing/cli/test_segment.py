"""``tokenunet segment`` as its users call it: files, exit codes, events, interruptions."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.cli import main
from tokenunet.core.regions import regions_from_labels
from tokenunet.core.sequences import SEQUENCES
from tokenunet.io.files import sha256_of
from tokenunet.synthesis import synthetic_patient, write_patient

FILES = {"labels.nii.gz", "segmentation.seg.nrrd", "run.json"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes 4 mm voxels, so that a patient is done in well under a second."""
    return small_bundle(tmp_path_factory.mktemp("model") / "tiny", replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0)))


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patient(synthetic_patient(1, spacing=4.0), tmp_path_factory.mktemp("patients"))


@pytest.fixture
def command(model: Path, patient: Path, tmp_path: Path) -> list[str]:
    return ["segment", "--input", str(patient), "--output", str(tmp_path / "out"), "--model", str(model)]


def image_of(patient: Path, sequence: str) -> Path:
    return patient / f"{patient.name}_{sequence.lower()}.nii.gz"


def snapshot(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): sha256_of(p) for p in folder.rglob("*") if p.is_file()}


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tokenunet", *command, "--progress", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_one_command_writes_everything_on_the_input_grid(command: list[str], patient: Path, tmp_path: Path) -> None:
    assert main([*command, "--attention-maps"]) == 0
    out = tmp_path / "out"
    assert {p.name for p in out.iterdir()} == FILES | {"overlays"}
    assert {p.relative_to(out / "overlays").as_posix() for p in out.glob("overlays/*/*")} == {
        f"{group}/{group}_{number}.nii.gz" for group in ("token_learner", "token_fuser") for number in range(1, 9)
    }
    labels, reference = sitk.ReadImage(out / "labels.nii.gz"), sitk.ReadImage(image_of(patient, "T1ce"))
    assert labels.GetPixelID() == sitk.sitkUInt8
    assert labels.GetSize() == reference.GetSize()
    np.testing.assert_allclose(labels.GetOrigin(), reference.GetOrigin(), atol=1e-4)
    array = sitk.GetArrayFromImage(labels)
    assert set(np.unique(array)) <= {0, 1, 2, 4}
    layers = sitk.GetArrayFromImage(sitk.ReadImage(out / "segmentation.seg.nrrd"))
    np.testing.assert_array_equal(np.moveaxis(layers, -1, 0) > 0, regions_from_labels(array))


def test_the_run_report_says_what_was_done(command: list[str], model: Path, patient: Path, tmp_path: Path) -> None:
    assert main([*command, "--device", "cpu", "--precision", "fp32", "--attention-maps"]) == 0
    report = json.loads((tmp_path / "out" / "run.json").read_text())
    assert report["device"] == "cpu"
    assert report["precision"] == "fp32"
    assert report["mode"] == "single_pass"
    assert report["model"]["sha256"] == sha256_of(model / "weights.safetensors")
    for sequence in SEQUENCES:
        assert report["inputs"][sequence]["sha256"] == sha256_of(image_of(patient, sequence))
    assert list(report["timings_s"]) == ["load", "align", "prepare", "predict", "restore", "write"]
    assert report["peak_memory_bytes"] > 50e6
    learner, fuser = report["overlays"]
    assert [overlay["name"] for overlay in fuser["overlays"]] == [f"token_fuser_{n}" for n in range(1, 9)]
    assert (learner["title"], learner["overlays"][2]["title"]) == ("TokenLearner maps", "TokenLearner 3")
    assert (learner["overlays"][2]["unit"], learner["overlays"][2]["range"][0]) == ("times uniform", 1)
    assert {"tokenunet", "torch", "monai", "numpy", "SimpleITK", "python"} <= set(report["versions"])
    array = sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "out" / "labels.nii.gz"))
    assert report["volumes_ml"]["WT"] == pytest.approx((array > 0).sum() * 0.064, abs=1e-3)
    assert set(report["outputs"]) == {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")} - {
        "run.json"
    }


def test_an_ensemble_gives_an_uncertainty_map_and_volumes_with_their_range(
    command: list[str], patient: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0))
    ensemble = small_bundle(tmp_path / "ensemble", manifest, members=3)
    assert main([*command, "--model", str(ensemble), "--attention-maps"]) == 0
    out = tmp_path / "out"
    assert {p.name for p in out.iterdir()} == FILES | {"overlays"}
    assert len(list(out.glob("overlays/token_*/*"))) == 16
    file = "overlays/ensemble_uncertainty/ensemble_uncertainty.nii.gz"
    uncertainty, reference = sitk.ReadImage(out / file), sitk.ReadImage(image_of(patient, "T1ce"))
    assert uncertainty.GetPixelID() == sitk.sitkFloat32
    assert uncertainty.GetSize() == reference.GetSize()
    np.testing.assert_allclose(uncertainty.GetOrigin(), reference.GetOrigin(), atol=1e-4)
    assert 0 < sitk.GetArrayFromImage(uncertainty).max() <= 0.5
    report = json.loads((out / "run.json").read_text())
    assert report["model"]["members"] == 3
    assert file in report["outputs"]
    assert report["volumes_range_ml"].keys() == report["volumes_ml"].keys()
    low, high = report["volumes_range_ml"]["WT"]
    assert low < high
    assert f"{report['volumes_ml']['WT']:.2f} ml ({low:.2f} to {high:.2f} over 3 folds)" in capsys.readouterr().out

    assert main([*command, "--force"]) == 0
    assert {p.name for p in out.iterdir()} == FILES  # the ensemble's map does not stay beside another model's result
    assert json.loads((out / "run.json").read_text())["volumes_range_ml"] == {}
    assert "folds" not in capsys.readouterr().out


def test_labels_may_follow_brats_2023(command: list[str], tmp_path: Path) -> None:
    assert main([*command, "--labels", "brats2023"]) == 0
    assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "out" / "labels.nii.gz")))) <= {0, 1, 2, 3}


def test_files_named_one_by_one_give_the_same(command: list[str], patient: Path, tmp_path: Path) -> None:
    assert main(command) == 0
    named = [word for s in SEQUENCES for word in (f"--{s.lower()}", str(image_of(patient, s)))]
    assert main(["segment", *named, "--output", str(tmp_path / "named"), *command[5:]]) == 0
    assert sha256_of(tmp_path / "named" / "labels.nii.gz") == sha256_of(tmp_path / "out" / "labels.nii.gz")


def test_events_are_json_lines_and_nothing_else(command: list[str], tmp_path: Path) -> None:
    process = start([*command, "--mode", "sliding_window"])
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    events = [json.loads(line) for line in output.splitlines()]
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert events[-1]["event"] == "result"
    assert events[-1]["report"] == json.loads((tmp_path / "out" / "run.json").read_text())


def test_results_are_not_overwritten_unless_forced(command: list[str], tmp_path: Path) -> None:
    assert main([*command, "--attention-maps"]) == 0
    earlier = snapshot(tmp_path / "out")
    assert main(command) == 6
    assert snapshot(tmp_path / "out") == earlier
    assert main([*command, "--force"]) == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == FILES  # the earlier masks are gone


@pytest.mark.parametrize(
    ("changes", "exit_code", "code", "words"),
    [
        (["--input", "absent"], 3, "missing_sequence", "absent"),
        (["--t1", "absent.nii.gz"], 3, "unreadable_image", "absent.nii.gz"),
        (["--model", "absent"], 4, "bad_model", "absent"),
        (["--device", "cuda:99"], 5, "device", "cuda:99"),
        (["--overlap", "1"], 2, "usage", "overlap"),
        (["--output", "/proc/results"], 6, "cannot_write", "/proc/results"),
    ],
)
def test_every_error_is_one_sentence_with_its_exit_code(
    command: list[str],
    changes: list[str],
    exit_code: int,
    code: str,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*command, *changes, "--progress", "json"]) == exit_code
    captured = capsys.readouterr()
    event = json.loads(captured.out.splitlines()[-1])
    assert event["event"] == "error"
    assert event["code"] == code
    assert words in event["message"]
    assert captured.err.startswith(f"tokenunet: {event['message']}")
    assert len(captured.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_forgotten_sequence_is_named(model: Path, patient: Path, tmp_path: Path) -> None:
    arguments = ["segment", "--t1", str(image_of(patient, "T1")), "--output", str(tmp_path / "out")]
    assert main(arguments) == 2


@pytest.mark.parametrize("option", [["--dicom-seg"], ["--dicom-out", "dicom"]])
def test_a_missing_package_is_named_before_anything_is_read(
    command: list[str], option: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    assert main([*command, "--input", "absent", *option]) == 2
    assert "The package highdicom is not installed." in capsys.readouterr().err


def test_swapped_sequences_are_warned_about(
    command: list[str], patient: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped = ["--t2", str(image_of(patient, "T1")), "--t1", str(image_of(patient, "T2"))]
    assert main([*command, *swapped]) == 0
    warnings = json.loads((tmp_path / "out" / "run.json").read_text())["warnings"]
    assert {w["code"] for w in warnings} == {"sequence_name", "sequence_content"}
    assert warnings[0]["message"] in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["load", "prepare", "predict", "write"])
@pytest.mark.parametrize("interruption", [signal.SIGKILL, signal.SIGTERM])
def test_an_interrupted_run_leaves_earlier_results_untouched(
    command: list[str], tmp_path: Path, stage: str, interruption: signal.Signals
) -> None:
    out = tmp_path / "out"
    assert main(command) == 0
    earlier = snapshot(out)
    process = start([*command, "--force", "--masks"])
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("stage") == stage:
            process.send_signal(interruption)
            break
    process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip(f"the run ended before the signal in stage {stage} reached it")
    assert process.returncode == (130 if interruption is signal.SIGTERM else -signal.SIGKILL)
    visible = {name: digest for name, digest in snapshot(out).items() if not name.startswith(".")}
    assert visible == earlier
    assert main([*command, "--force"]) == 0
    assert {p.name for p in out.iterdir()} == FILES  # nothing half-written stays behind


def test_a_full_disk_is_one_clear_sentence_and_loses_nothing(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 0, b"size=40k"):
        pytest.skip("making a small disk needs the rights of an administrator")
    try:
        (disk / "notes.txt").write_text("mine")
        assert main([*command, "--attention-maps", "--output", str(disk)]) == 6
        assert "cannot be written" in capsys.readouterr().err
        assert [p.name for p in disk.iterdir()] == ["notes.txt"]
    finally:
        libc.umount(os.fsencode(disk))


def test_a_tumor_without_evidence_is_a_warning_and_not_marked(command: list[str], tmp_path: Path) -> None:
    manifest = replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0), least_evidence={"WT": 100.0})
    command[-1] = str(small_bundle(tmp_path / "unsure", manifest))
    assert main(command) == 0
    report = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [warning["code"] for warning in report["warnings"]] == ["weak_tumor"]
    assert report["volumes_ml"]["WT"] == 0
