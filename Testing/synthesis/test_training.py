"""Training on synthetic patients: stops, goes on, and learns."""

import json
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from tokenunet.bundle import load_bundle
from tokenunet.networks import build_network
from tokenunet.synthesis import Kind, synthetic_patient
from tokenunet.synthesis.fields import seeded
from tokenunet.training.checkpoint import load_checkpoint
from tokenunet.training.examples import PatientStream, cropped, whole_brain
from tokenunet.training.synthetic import RegionLoss, SyntheticTraining, Trainer, learning_rate, validate
from tokenunet.training.synthetic_export import export

TINY = {"channels": [4, 8, 8, 8], "depth": 1, "heads": 2, "hidden": 8}
SHORT = SyntheticTraining(
    spacing=4.0, steps=4, warm_up=1, arguments=TINY, validation_cases=1, validate_every=2, workers=0
)


def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(tmp_path):
    whole = Trainer(SHORT, tmp_path / "whole")
    whole.run()
    first = Trainer(SHORT, tmp_path / "stopped")
    first.run(until=2)
    second = Trainer(SHORT, tmp_path / "stopped")
    second.resume()
    assert second.step == 2
    second.run()
    for name, expected in whole.network.state_dict().items():
        torch.testing.assert_close(second.network.state_dict()[name], expected, rtol=1e-3, atol=1e-4)
    assert second.step == 4

    log = [json.loads(line) for line in (tmp_path / "stopped" / "log.jsonl").read_text().splitlines()]
    assert [line["from_step"] for line in log if "from_step" in line] == [0, 2]
    assert any("validation" in line for line in log)
    weights = safetensors.torch.load_file(tmp_path / "stopped" / "weights.safetensors")
    build_network(SHORT.architecture, **TINY).load_state_dict(weights)
    assert load_checkpoint(tmp_path / "stopped" / "checkpoint.pt")["step"] == 4


def test_a_training_becomes_a_bundle_that_says_how_it_was_made(tmp_path):
    trainer = Trainer(replace(SHORT, steps=1, validate_every=1), tmp_path / "run")
    trainer.run()
    bundle = load_bundle(export(tmp_path / "run", tmp_path / "bundle", "tiny"))
    assert bundle.manifest.spacing == (4.0, 4.0, 4.0)
    assert bundle.manifest.training["step"] == 1
    assert set(bundle.manifest.training["synthetic_validation_dice"]) <= {"WT", "TC", "ET"}
    expected = trainer.average.module.state_dict()["head.0.weight"]
    torch.testing.assert_close(bundle.build().state_dict()["head.0.weight"], expected, rtol=1e-3, atol=1e-4)


def test_a_stream_cuts_several_cubes_from_one_patient_and_starts_anywhere():
    settings = {"seed": 3, "spacing": 4.0, "patch": 16, "cuts": 2, "whole_share": 0.0, "multiple": 8}
    stream = iter(PatientStream(start=0, **settings))
    images = [next(stream)[0] for _ in range(3)]
    assert not torch.equal(images[0], images[1])
    later = next(iter(PatientStream(start=1, **settings)))[0]
    assert torch.equal(later, images[1])


def test_the_learning_rate_warms_up_and_ends_at_nothing():
    training = SyntheticTraining(steps=100, warm_up=10, peak_rate=1e-3)
    rates = [learning_rate(training, step) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(1e-3)
    assert rates[100] == pytest.approx(0)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_an_example_is_normalised_in_the_brain_and_zero_outside():
    patient = synthetic_patient(3, 4.0)
    example = whole_brain(patient, multiple=8)
    assert all(n % 8 == 0 for n in example.image.shape[1:])
    inside = example.image[:, (example.image != 0).any(0)]
    torch.testing.assert_close(inside.mean(1), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(inside.std(1), torch.ones(4), atol=1e-3, rtol=0)
    assert (example.image == 0).all(0).any()
    assert float(example.regions[0].sum()) == (patient.labels > 0).sum()


def test_most_cubes_hold_tumour():
    example = whole_brain(synthetic_patient(3, 4.0, kind=Kind.SOLID), multiple=8)
    cubes = [cropped(example, 16, seeded(i)) for i in range(40)]
    assert all(cube.image.shape == (4, 16, 16, 16) for cube in cubes)
    assert sum(bool(cube.regions[0].any()) for cube in cubes) >= 25


def test_the_loss_prefers_the_truth():
    truth = torch.zeros(1, 3, 16, 16, 16)
    truth[:, :, 4:12, 4:12, 4:12] = 1
    loss = RegionLoss()
    good, bad = loss(20 * truth - 10, truth), loss(10 - 20 * truth, truth)
    assert good < 0.1 < 1 < bad


def test_validation_counts_false_positives_where_there_is_no_tumour():
    class Everything(torch.nn.Module):
        def forward(self, x):
            return torch.ones(1, 3, *x.shape[2:])

    example = whole_brain(synthetic_patient(3, 4.0, kind=Kind.HEALTHY), multiple=8)
    scores = validate(Everything(), [example])
    assert scores["healthy_voxels"] == example.regions[0].numel()
