"""Models of two, three and five channels from the command line, Python and the batch; channels that are missing."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import SimpleITK as sitk
import tokenunet
from batch_runs import table
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.bundle.manifest import Channel
from tokenunet.cli import main
from tokenunet.core.channels import OptionalChannels
from tokenunet.core.errors import UsageError
from tokenunet.core.sequences import ALIASES, SEQUENCES
from tokenunet.inference.request import InferenceOptions, SegmentationRequest
from tokenunet.io.files import sha256_of
from tokenunet.synthesis import synthetic_patient, write_patient

CHANNELS = {
    2: ("FLAIR", "T1ce"),
    3: ("T1ce", "T2", "FLAIR"),
    5: ("T1", "T1ce", "ADC", "T2", "FLAIR"),
}
FOUR = tuple(
    OptionalChannels(channels, {"WT": change})
    for channels, change in ((("FLAIR",), -0.07), (("T1ce",), -0.01), (("T2", "FLAIR"), -0.2))
)


def bundle(folder: Path, names: tuple[str, ...], optional: tuple[OptionalChannels, ...] = ()) -> Path:
    channels = tuple(Channel(name, ALIASES.get(name, ("dwi",))) for name in names)
    manifest = replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0), channels=channels, optional_channels=optional)
    return small_bundle(folder, manifest)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("model") / "four", SEQUENCES, FOUR)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five images; the fifth is named after an alias of ADC."""
    folder = write_patient(synthetic_patient(1, spacing=4.0), tmp_path_factory.mktemp("patients"))
    image = sitk.ReadImage(image_of(folder, "T2"))
    sitk.WriteImage(sitk.Cast(sitk.Sqrt(sitk.Cast(image, sitk.sitkFloat32)), sitk.sitkFloat32), folder / "p_dwi.nii.gz")
    return folder


def image_of(patient: Path, sequence: str) -> Path:
    return patient / f"{patient.name}_{sequence.lower()}.nii.gz"


def without(patient: Path, folder: Path, *sequences: str) -> Path:
    """Return a copy of the patient that lacks sequences."""
    shutil.copytree(patient, folder)
    for sequence in sequences:
        (folder / f"{patient.name}_{sequence.lower()}.nii.gz").unlink()
    return folder


def report_of(output: Path) -> dict:
    return json.loads((output / "run.json").read_text())


@pytest.mark.parametrize("count", CHANNELS)
def test_segment_runs_bundles_of_two_to_five_channels(patient: Path, tmp_path: Path, count: int) -> None:
    """The scans of a folder and those that are named one by one give the same."""
    model = bundle(tmp_path / "model", CHANNELS[count])
    command = ["segment", "--model", str(model), "--device", "cpu"]
    assert main([*command, "--input", str(patient), "--output", str(tmp_path / "folder")]) == 0
    report = report_of(tmp_path / "folder")
    assert set(report["inputs"]) == set(CHANNELS[count])
    assert report["reference"] == "T1ce"
    scans = {name: patient / "p_dwi.nii.gz" if name == "ADC" else image_of(patient, name) for name in CHANNELS[count]}
    named = [word for name, path in scans.items() for word in ("--scan", f"{name.lower()}={path}")]
    assert main([*command, *named, "--output", str(tmp_path / "named")]) == 0
    result = tokenunet.segment(scans=scans, model=model, device="cpu", overlays=False)
    assert sha256_of(tmp_path / "named" / "labels.nii.gz") == sha256_of(tmp_path / "folder" / "labels.nii.gz")
    assert (result.labels == sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "folder" / "labels.nii.gz"))).all()


def test_segment_names_channels_that_the_model_does_not_take_or_nobody_gave(
    patient: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = bundle(tmp_path / "model", CHANNELS[2])
    command = ["segment", "--model", str(model), "--output", str(tmp_path / "out")]
    flair = ["--flair", str(image_of(patient, "FLAIR"))]
    for changes, words in (
        (["--t2", "t2.nii"], "takes FLAIR, T1ce, not T2"),
        (["--scan", "PD=pd.nii"], "takes FLAIR, T1ce, not PD"),
        (flair, "No file was given for T1ce"),
        ([*flair, "--scan", "T2f=x.nii"], "FLAIR was given twice"),
        (["--input", str(patient), "--reference", "T2"], "not T2"),
    ):
        assert main([*command, *changes]) == 2
        assert words in capsys.readouterr().err
    assert main([*command, "--flair", "none", *["--t1ce", "x.nii"]]) == 4
    assert "cannot do without FLAIR" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_models_list_shows_the_channels_of_a_bundle_in_the_models_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKENUNET_MODELS", str(tmp_path))
    bundle(tmp_path / "two", CHANNELS[2])
    assert main(["models", "list"]) == 0
    assert "FLAIR, T1ce " in next(line for line in capsys.readouterr().out.splitlines() if line.startswith("two "))


def test_segment_runs_without_what_the_model_can_do_without(
    four: Path, patient: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--flair none`` and a folder without FLAIR give the same, with a warning that names the cost."""
    command = ["segment", "--model", str(four), "--device", "cpu"]
    assert main([*command, "--input", str(patient), "--flair", "none", "--output", str(tmp_path / "none")]) == 0
    assert "FLAIR is missing" in capsys.readouterr().err
    lacking = without(patient, tmp_path / "lacking", "FLAIR")
    assert main([*command, "--input", str(lacking), "--output", str(tmp_path / "absent")]) == 0
    report = report_of(tmp_path / "absent")
    assert report["missing"] == ["FLAIR"] and report["not_segmented"] == []
    assert "whole tumor Dice about 0.07 lower" in report["warnings"][0]["message"]
    for other in (tmp_path / "none", tmp_path / "absent"):
        assert "FLAIR" not in report_of(other)["inputs"]
    digests = {sha256_of(tmp_path / name / "labels.nii.gz") for name in ("none", "absent")}
    result = tokenunet.segment(study=patient, left_out=["FLAIR"], model=four, device="cpu", overlays=False)
    assert len(digests) == 1
    assert (result.labels == sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "none" / "labels.nii.gz"))).all()


def test_segment_claims_no_enhancing_tumor_without_t1ce(
    four: Path, patient: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = without(patient, tmp_path / "lacking", "T1ce")
    out = tmp_path / "out"
    assert main(["segment", "--model", str(four), "--input", str(lacking), "--output", str(out)]) == 0
    captured = capsys.readouterr()
    assert "not marked without T1ce" in captured.err
    assert "enhancing tumor" not in captured.out
    report = report_of(out)
    assert set(report["volumes_ml"]) == {"WT", "TC", "ED"}
    assert report["reference"] == "T1"
    assert 4 not in sitk.GetArrayFromImage(sitk.ReadImage(out / "labels.nii.gz"))


def test_segment_refuses_a_set_that_the_model_does_not_allow(
    four: Path, patient: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = without(patient, tmp_path / "lacking", "T1", "FLAIR")
    assert main(["segment", "--model", str(four), "--input", str(lacking), "--output", str(tmp_path / "out")]) == 4
    errors = capsys.readouterr().err
    assert "No T1 or FLAIR was found" in errors
    assert "The model can do without FLAIR; T1ce; T2 and FLAIR." in errors
    assert not (tmp_path / "out").exists()
    command = ["segment", "--model", str(four), "--input", str(patient), "--t1", "none", "--output", str(tmp_path)]
    assert main(command) == 4
    assert "cannot do without T1" in capsys.readouterr().err
    (tmp_path / "nothing").mkdir()
    assert main(["segment", "--input", str(tmp_path / "nothing"), "--output", str(tmp_path / "out")]) == 3


def test_batch_segments_patients_with_fewer_scans(four: Path, patient: Path, tmp_path: Path) -> None:
    """In a table an empty cell is a missing scan; one patient with too few does not stop the others."""
    images = {s: str(image_of(patient, s)) for s in SEQUENCES}
    rows = [
        ["patient", *SEQUENCES],
        ["all", *images.values()],
        ["two", images["T1"], images["T1ce"], "", ""],
        ["one", images["T1"], "", "", ""],
    ]
    csv = tmp_path / "patients.csv"
    csv.write_text("".join(",".join(row) + "\n" for row in rows))
    out = tmp_path / "out"
    assert main(["segment", "--batch", str(csv), "--model", str(four), "--output", str(out)]) == 3
    found = table(out)
    assert [found[name]["status"] for name in ("all", "two", "one")] == ["ok", "ok", "failed"]
    assert found["one"]["code"] == "missing_sequence"
    assert report_of(out / "two")["missing"] == ["T2", "FLAIR"]


def test_force_leaves_no_labels_of_a_channel_that_only_the_earlier_model_had(
    four: Path, patient: Path, tmp_path: Path
) -> None:
    """What the run report of the earlier result lists is replaced; other files stay."""
    stale = ("labels_ADC.nii.gz", "transforms/ADC.tfm")
    for name in (*stale, "labels_radiologist.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("earlier")
    (tmp_path / "run.json").write_text(json.dumps({"inputs": {"ADC": {}, "../elsewhere": {}}}))
    command = ["segment", "--model", str(four), "--input", str(patient), "--output", str(tmp_path), "--force"]
    assert main(command) == 0
    assert [name for name in stale if (tmp_path / name).exists()] == []
    assert (tmp_path / "labels_radiologist.nii.gz").read_text() == "earlier"


def test_segmentation_request_survives_its_arguments() -> None:
    request = SegmentationRequest(
        inputs={"T1": Path("t 1.nii"), "ADC": Path("adc.nii")},
        output=Path("out"),
        model=Path("models/five"),
        folder=Path("study"),
        reference="ADC",
        options=InferenceOptions("cuda:1", "sliding_window", "fp16", 0.25, attention_maps=True),
        et_label=3,
        dicom_seg=True,
        force=True,
        left_out=("T2", "PD"),
    )
    arguments = request.to_arguments()
    assert SegmentationRequest.from_arguments(arguments) == replace(request, model="models/five")
    assert SegmentationRequest.from_arguments(["--output", "out"]) == SegmentationRequest({}, Path("out"))
    for wrong in (
        ["--output"],
        ["--outptu", "x"],
        ["--output", "o", "--scan", "ADC"],
        ["--output", "o", "--mode", "x"],
    ):
        with pytest.raises(UsageError):
            SegmentationRequest.from_arguments(wrong)
