"""``tokenunet evaluate`` with a tiny model of 4 mm voxels."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from dataset_fixtures import write_patient_folder
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.bundle.bundle import load_bundle
from tokenunet.cli import main
from tokenunet.core.channels import OptionalChannels
from tokenunet.core.errors import Cancelled
from tokenunet.core.events import Event, Progress, ProgressEvent, Stage
from tokenunet.evaluation import evidence
from tokenunet.evaluation.evidence import CountedModel, gather

COARSE = replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0))


@pytest.fixture(autouse=True)
def _quick_patients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "SCAN_SPACING", 4.0)


def test_all_results_are_written_and_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, output = small_bundle(tmp_path / "tiny", COARSE), tmp_path / "out"
    real = write_patient_folder(tmp_path / "real", "P_0")
    command = ["evaluate", "--model", str(bundle), "--output", str(output), "--patients", "1", "--progress", "json"]
    healthy = write_patient_folder(tmp_path / "healthy", "H_0")
    assert main([*command, "--real", str(real), "--tumor-free", str(healthy)]) == 0
    names = {"evaluation.json", "evaluation.md", "calibration.png", "real_P_0.png"}
    assert {path.name for path in output.iterdir()} == names
    assert all((output / name).read_bytes().startswith(b"\x89PNG") for name in names if name.endswith(".png"))

    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
    report = json.loads((output / "evaluation.json").read_text())
    assert events[-1] == {"event": "result", "output": str(output), "report": report}
    assert report["model"]["sha256"] == load_bundle(bundle).manifest.weights_sha256
    assert [len(report[rows]) for rows in ("tumors", "healthy", "disturbed", "real")] == [1, 1, 8, 1]
    assert [len(report[rows]) for rows in ("real_appearance", "tumor_free")] == [1, 1]
    assert report["summary"]["tumor_free"]["largest_ml"] == report["tumor_free"][0]["marked_ml"]
    assert report["real"][0]["hd95_mm"]["WT"] > 0
    assert report["tumors"][0]["seed"] >= 6 * 10**9
    assert report["real"][0]["volumes_ml"]["WT"] > 0
    text = (output / "evaluation.md").read_text()
    assert "| P_0 |" in text
    assert "| without FLAIR | 1 |" in text

    assert main(command) == 6
    assert "already holds results" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    assert {path.name for path in output.iterdir()} == names - {"real_P_0.png"}


def test_what_cannot_be_measured_is_refused_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = small_bundle(tmp_path / "tiny", COARSE)
    real = write_patient_folder(tmp_path / "real", "P_0")
    (real / "P_0_seg.nii").unlink()
    command = ["evaluate", "--output", str(tmp_path / "out"), "--model"]
    assert main([*command, str(tmp_path / "none")]) == 4
    assert main([*command, str(bundle), "--patients", "0"]) == 2
    assert main([*command, str(bundle), "--real", str(real)]) == 3
    assert "P_0 has no ground truth" in capsys.readouterr().err
    other = [str(write_patient_folder(tmp_path / name, "P_1")) for name in ("a", "b")]
    assert main([*command, str(bundle), "--real", *other]) == 2
    copied = [write_patient_folder(tmp_path / f"P_{n}", f"P_{n}", n) for n in (2, 3)]
    shutil.copy(copied[0] / "P_2_seg.nii", copied[1] / "P_3_seg.nii")
    assert main([*command, str(bundle), "--real", *map(str, copied)]) == 3
    assert "P_3_seg.nii, is that of P_2, too" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_it_can_be_stopped_in_the_middle(tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, ProgressEvent) and event.fraction >= 0.5:
            raise Cancelled

    bundle = load_bundle(small_bundle(tmp_path / "tiny", COARSE))
    model = CountedModel(bundle, Progress(stop, {Stage.MEASURE: 1.0}), 2)
    with pytest.raises(Cancelled):
        gather(COARSE.space, 1, (), model)


def test_missing_sequences_are_measured_for_each_set_that_the_model_allows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    optional = (OptionalChannels(("FLAIR",)), OptionalChannels(("T1", "T1ce")))
    bundle, output = small_bundle(tmp_path / "tiny", replace(COARSE, optional_channels=optional)), tmp_path / "out"
    real = write_patient_folder(tmp_path / "real", "P_0")
    command = ["evaluate", "--missing-sequences", "--patients", "1", "--output", str(output), "--model"]
    assert main([*command, str(bundle), "--real", str(real)]) == 0
    report = json.loads((output / "missing_sequences.json").read_text())
    assert [row["missing"] for row in report["rows"]] == 2 * [[], ["FLAIR"], ["T1", "T1ce"]]
    means = {tuple(entry["missing"]): entry["dice"] for entry in report["means"]}
    changes = {tuple(entry["channels"]): entry["dice_change"] for entry in report["optional_channels"]}
    losses = [means["FLAIR",][source]["WT"] - means[()][source]["WT"] for source in ("real", "synthetic")]
    assert changes["FLAIR",]["WT"] == pytest.approx(min(losses), abs=0.006)
    assert set(changes["T1", "T1ce"]) == {"WT", "TC"}
    table = (output / "missing_sequences.md").read_text()
    assert table.count("not marked") == 2 and table in capsys.readouterr().out
    assert main([*command, str(bundle)]) == 6
    # Of the cross-validation: another model's rows for the patients that it has not seen.
    other, fold = str(tmp_path / "fold"), [str(real), "--force"]
    small_bundle(Path(other), replace(COARSE, optional_channels=optional), seed=5)
    assert main([*command, str(bundle), "--fold", other, *fold]) == 0
    by_fold = json.loads((output / "missing_sequences.json").read_text())["rows"]
    assert [row["dice"] for row in by_fold[3:]] == [row["dice"] for row in report["rows"][3:]]
    assert [row["dice"] for row in by_fold[:3]] != [row["dice"] for row in report["rows"][:3]]
    assert main([*command, str(bundle), "--real", str(real), "--fold", other, *fold]) == 2
    assert main([*command, str(bundle), "--fold", other, "--force"]) == 2
    assert main([*command, str(small_bundle(tmp_path / "all", COARSE)), "--force"]) == 2
    assert "needs all of its channels" in capsys.readouterr().err
