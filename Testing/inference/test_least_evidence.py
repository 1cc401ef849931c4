"""Regions that are marked only with enough evidence."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.bundle.bundle import load_bundle
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import RegionName
from tokenunet.inference.evidence import evidence_findings, found_evidence, without_weak_regions
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.inference.second_pass import second_pass_findings
from tokenunet.preprocessing import Prepared

CPU = InferenceOptions(device="cpu", precision="fp32")
MANIFEST = replace(SMALL_MANIFEST, spacing=(1.0, 1.0, 1.0), least_evidence={"WT": 9.0, "ET": 6.0}, usual_evidence=14.0)


@pytest.mark.parametrize(
    ("tumor", "enhancing", "unmarked"),
    [
        ((600, 10.0), (600, 7.0), []),
        ((600, 8.0), (600, 7.0), ["WT"]),
        ((600, 10.0), (600, 5.0), ["ET"]),
        ((600, 8.0), (600, 5.0), ["WT", "ET"]),
        ((600, 10.0), (400, 5.0), []),  # too little to count as found
        ((400, 8.0), (0, 0.0), []),
    ],
)
def test_a_region_without_evidence_is_not_marked_and_becomes_doubtful(
    tumor: tuple[int, float], enhancing: tuple[int, float], unmarked: list[RegionName]
) -> None:
    """The evidence is that of the surest 100 voxels in the brain, whatever else is marked."""
    logits, brain = torch.full((1, 3, 20, 20, 20), -3.0), torch.ones(1, 20, 20, 20, dtype=torch.bool)
    for region, (voxels, surest) in zip((0, 1, 2), (tumor, tumor, enhancing), strict=True):
        logits[0, region].flatten()[:voxels] = 1.0
        logits[0, region].flatten()[: min(100, voxels)] = surest
    brain[:, 10:] = False
    logits[:, :, 10:] = 50.0  # outside of the brain, where it does not count
    evidence = found_evidence(logits, logits, brain, MANIFEST)
    result, weak = without_weak_regions(logits, evidence, brain, MANIFEST)
    assert list(weak) == unmarked and set(weak) <= set(evidence)
    assert all(weak[region] == pytest.approx(0.6) for region in weak)
    lowered = {"WT": [0, 1, 2], "ET": [2]}.get(unmarked[0], []) if unmarked else []
    for region in range(3):
        inside = result[0, region][brain[0]]
        assert torch.equal(inside, logits[0, region][brain[0]].clamp(max=-1.0 if region in lowered else 100.0))


@pytest.mark.parametrize(
    ("evidence", "unmarked", "codes"),
    [
        ({"WT": 20.0}, {}, []),
        ({}, {}, []),
        ({"WT": 12.0, "ET": 9.0}, {}, ["perhaps_no_tumor"]),
        ({"WT": 8.0, "ET": 4.0}, {"WT": 2.5, "ET": 0.7}, ["weak_tumor"]),
        ({"WT": 20.0, "ET": 4.0}, {"ET": 0.7}, ["weak_enhancing_tumor"]),
        ({"WT": 12.0, "ET": 4.0}, {"ET": 0.7}, ["weak_enhancing_tumor", "perhaps_no_tumor"]),
    ],
)
def test_what_lacks_evidence_is_a_warning(
    evidence: dict[RegionName, float], unmarked: dict[RegionName, float], codes: list[str]
) -> None:
    prediction = Prediction(np.zeros((3, 4, 4, 4), np.float32), evidence=evidence, unmarked_ml=unmarked)
    findings = list(evidence_findings(prediction, MANIFEST))
    assert [finding.code for finding in findings] == codes
    assert not unmarked or f"{next(iter(unmarked.values()))} ml" in findings[0].message


def test_a_tumor_that_is_not_marked_for_lack_of_evidence_is_reported_once() -> None:
    manifest = replace(MANIFEST, second_pass_without=("T1ce",))
    prediction = Prediction(np.zeros((3, 4, 4, 4), np.float32), second_pass_ml=3.0, unmarked_ml={"WT": 2.5})
    assert not list(second_pass_findings(prediction, manifest))


def test_only_a_full_run_with_all_channels_asks_for_evidence(tmp_path: Path, prepared: Prepared) -> None:
    asking = load_bundle(small_bundle(tmp_path / "asking", replace(SMALL_MANIFEST, least_evidence={"WT": 100.0})))
    free = load_bundle(small_bundle(tmp_path / "free"))
    prediction = predict(prepared, asking, CPU)[0]
    assert prediction.unmarked_ml["WT"] > 1 and prediction.probabilities.max() < 0.5 < prediction.evidence["WT"]
    fewer = replace(prepared, tensor=prepared.tensor.clone())
    fewer.tensor[1] = 0
    for patient, options in ((prepared, replace(CPU, fast=True)), (fewer, CPU)):
        same = predict(patient, asking, options)[0]
        assert not same.unmarked_ml
        np.testing.assert_array_equal(same.probabilities, predict(patient, free, options)[0].probabilities)
