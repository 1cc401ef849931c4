"""The benchmark on sizes that take no time; what it prints is read back."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from processes import forking_context
from tokenunet.benchmark import Row, cases, hardware_peak, process, run_benchmark
from tokenunet.benchmark.figure import draw_rows
from tokenunet.benchmark.networks import facts, make_network
from tokenunet.benchmark.tables import growth
from tokenunet.cli import main
from tokenunet.core.errors import UsageError
from tokenunet.study.scans import find_sequences
from tokenunet.synthesis import synthetic_patient, write_patient

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def quick_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the hardware peak with matrices of milliseconds, and networks without importing PyTorch every time."""
    monkeypatch.setattr(hardware_peak, "_MATRIX_SIDE", 512)
    monkeypatch.setattr(hardware_peak, "_SIDE", 12)
    monkeypatch.setattr(hardware_peak, "_COPY_VALUES", 2**20)
    context = forking_context()
    monkeypatch.setattr(process, "multiprocessing", SimpleNamespace(get_context=lambda method: context))


def test_command_writes_table_csv_json_and_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, single = tmp_path / "out", tmp_path / "rows.json"
    arguments = ["--size", "32", "--repeats", "2", "--only", "token_unet_transformer"]
    assert main(["benchmark", *arguments, "--output", str(output), "--json", str(single)]) == 0
    values = json.loads(single.read_text())
    assert values == json.loads((output / "benchmark.json").read_text())
    rows = values["rows"]
    assert {(row["name"], row["parameters"]) for row in rows} == {("token_unet_transformer", 5_609_051)}
    for row in rows:
        assert (row["kind"], row["size"]) == ("window", 32)
        assert len(row["times_s"]) == 2
        assert min(row["times_s"]) <= row["seconds"] <= max(row["times_s"])
        assert row["seconds"] > row["hardware_peak_s"] > 0
        assert row["peak_bytes"] > 0
    assert (output / "benchmark.md").read_text() in capsys.readouterr().out
    assert len((output / "benchmark.csv").read_text().splitlines()) == 1 + len(rows)
    assert b"token_unet_transformer" in (output / "benchmark.svg").read_bytes()


def test_every_bubble_has_its_label_however_close_they_are() -> None:
    # Matplotlib leaves out what points at a place outside of the axes, which are narrow here.
    rows = [Row(n, "window", 32, "fp32", "cpu", (s,), 113_000_000) for n, s in (("a", 1.12), ("b", 1.13))]
    drawn = draw_rows(rows)
    assert b"a, fp32" in drawn
    assert b"b, fp32" in drawn


@pytest.mark.slow
def test_training_steps_are_measured() -> None:
    _, rows = run_benchmark("train", ["token_unet"], [64], CPU, repeats=1)
    for row in rows:
        assert row.flops > 2 * facts(row.name, 64, training=False)[1], "backwards takes twice the operations"
        assert row.peak_bytes > 1e8


def test_operations_of_a_window_are_counted_by_hand() -> None:
    """Those of all convolutions of UNet**, from their definition: multiplications and additions at every voxel."""
    channels, voxels = (32, 64, 128, 256), [128**3, 64**3, 32**3, 16**3]
    by_hand = 2 * voxels[0] * (28 * 4 * 32 + 32 * 32 + 32 * 3)
    for fine in range(3):
        pair = channels[fine] * channels[fine + 1]
        down = 28 * pair * voxels[fine + 1]
        up = 28 * pair * voxels[fine + 1]  # every voxel of a transposed convolution's input meets 27 weights
        by_hand += 2 * (down + up)
    assert facts("unet_star", 128, training=False)[1] == pytest.approx(by_hand, rel=1e-3)


def test_nnunets_network_has_its_published_size() -> None:
    assert sum(p.numel() for p in make_network("nnunet_plain_conv_unet").parameters()) == pytest.approx(
        31.2e6, rel=5e-3
    )


def test_linear_growth_has_exponent_one() -> None:
    rows = [Row("a", "window", n, "fp32", "cpu", (n**3 / 1e6,), n**3 * 100) for n in (64, 96, 128)]
    assert np.allclose(growth(rows), 1)
    assert math.isclose(growth([Row("a", "window", n, "fp32", "cpu", (n**6,), n**3) for n in (32, 64, 96)])[0], 2)


@pytest.mark.slow
def test_whole_case_is_measured_from_files_to_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def write_case(folder: Path) -> cases.Files:
        """Write a patient of few voxels, which is quicker."""
        return find_sequences(write_patient(synthetic_patient(4, spacing=4.0), folder))

    monkeypatch.setattr(cases, "write_case", write_case)
    _, (row,) = run_benchmark("case", ["tokenunet_segment_with_maps"], [], CPU, repeats=1)
    assert 0 < row.first_progress_s < row.seconds
    assert row.peak_bytes > 5e8


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    single = tmp_path / "rows.json"
    single.write_text("mine")
    arguments = ["benchmark", "--size", "32", "--repeats", "1", "--only", "unet_star"]
    assert main([*arguments, "--json", str(single)]) == 6
    (tmp_path / "benchmark.md").write_text("mine")
    assert main([*arguments, "--output", str(tmp_path)]) == 6
    assert single.read_text() == (tmp_path / "benchmark.md").read_text() == "mine"


@pytest.mark.parametrize("arguments", [["--size", "33"], ["--only", "resnet"], ["--repeats", "0"]])
def test_impossible_wishes_are_refused(arguments: list[str]) -> None:
    assert main(["benchmark", *arguments]) == 2


def test_a_failing_measurement_says_why() -> None:
    with pytest.raises(UsageError, match="no network 'resnet'"):
        run_benchmark("window", ["resnet"], [32], CPU, repeats=1)
