"""Scans near a coil: a smooth profile over the whole brain is evened out, and nothing else is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from model_fixtures import SMALL_MANIFEST, small_bundle
from scan_fixtures import study, write_study
from tokenunet.cli import main
from tokenunet.core.grid import Grid
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.preprocessing import Prepared, prepare
from tokenunet.preprocessing.coil_profile import without_coil_profile
from tokenunet.study.scans import Study

LIMIT = 0.55


def bright_at_one_end(factor: float, axis: int = 1, sequences: tuple[SequenceName, ...] = SEQUENCES) -> Study:
    """Return four scans, of which some are so many times brighter in the last slice along an axis."""
    scans = dict(study().scans)
    for name in sequences:
        image = scans[name].image
        values = np.moveaxis(sitk.GetArrayFromImage(image), axis, -1)
        profile = factor ** np.linspace(-0.5, 0.5, values.shape[-1], dtype=np.float32)
        scans[name] = replace(scans[name], image=Grid.of(image).image(np.moveaxis(values * profile, -1, axis)))
    return Study(scans)


def prepared(scans: Study, limit: float | None = None) -> Prepared:
    spacing = scans.scans["T1"].image.GetSpacing()
    return prepare(scans, ModelSpace(SEQUENCES, spacing, "LPS", coil_profile_limit=limit))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_profile_over_the_brain_is_evened_out(axis: int) -> None:
    scans = bright_at_one_end(12, axis)
    plain, biased, evened = prepared(study()), prepared(scans), prepared(scans, LIMIT)
    for channel in range(len(SEQUENCES)):
        same, before, after = (p.tensor[channel].numpy()[plain.brain] for p in (plain, biased, evened))
        assert np.corrcoef(same, after)[0, 1] > 0.9 > 0.75 > np.corrcoef(same, before)[0, 1]
        assert abs(after.mean()) < 1e-3 and abs(after.std() - 1) < 1e-3
    assert (evened.tensor[:, ~plain.brain] == 0).all()
    assert [finding.code for finding in evened.findings if finding not in biased.findings] == ["coil_profile"]
    assert without_coil_profile(evened.tensor, evened.brain, LIMIT) is None


@pytest.mark.parametrize("scans", [study(), bright_at_one_end(12, sequences=("T1", "T1ce", "T2"))])
def test_other_scans_stay_as_they_are(scans: Study) -> None:
    free, limited = prepared(scans), prepared(scans, LIMIT)
    assert torch.equal(free.tensor, limited.tensor)
    assert free.findings == limited.findings


def test_a_missing_channel_stays_missing() -> None:
    patient = prepared(bright_at_one_end(12))
    patient.tensor[2] = 0
    evened = without_coil_profile(patient.tensor, patient.brain, LIMIT)
    assert evened is not None and not torch.equal(evened, patient.tensor)
    assert (evened[2] == 0).all()
    assert without_coil_profile(torch.zeros_like(patient.tensor), patient.brain, LIMIT) is None


def test_a_model_with_a_limit_evens_out_and_says_so(tmp_path: Path) -> None:
    scans = bright_at_one_end(12)
    spacing = scans.scans["T1"].image.GetSpacing()
    files = write_study(tmp_path, scans)
    command = [word for name, path in files.items() for word in (f"--{name.lower()}", str(path))]
    codes = []
    for limit in (None, LIMIT):
        manifest = replace(SMALL_MANIFEST, spacing=spacing, coil_profile_limit=limit)
        model, output = small_bundle(tmp_path / f"model {limit}", manifest), tmp_path / f"out {limit}"
        assert main(["segment", *command, "--model", str(model), "--device", "cpu", "--output", str(output)]) == 0
        codes.append([warning["code"] for warning in json.loads((output / "run.json").read_text())["warnings"]])
    assert "coil_profile" not in codes[0] and codes[1] == [*codes[0], "coil_profile"]
