import json
import signal
from pathlib import Path

import pytest
from model_fixtures import small_bundle
from tokenunet.cli import main, networks
from tokenunet.core.errors import ModelError
from tokenunet.networks import architectures


def test_networks_are_listed_with_their_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(architectures())
    assert {"name": "token_unet", "title": "Token-UNet", "parameters": 2450011} in rows
    assert main(["networks"]) == 0
    assert "2,450,011" in capsys.readouterr().out


def test_an_interruption_that_a_library_took_for_an_error_is_still_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except Exception as error:  # as PyTorch does while it loads weights
            raise ModelError("The weights do not fit.") from error

    monkeypatch.setattr(networks, "run", run)
    assert main(["networks"]) == 130
    assert "nothing was written" in capsys.readouterr().err


def test_models_are_imported_listed_shown_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKENUNET_MODELS", str(tmp_path / "mine"))
    bundle = small_bundle(tmp_path / "tiny")
    assert main(["models", "import", str(bundle)]) == 0
    assert main(["models", "import", str(bundle)]) == 6
    assert main(["models", "list"]) == 0
    assert "tiny " in capsys.readouterr().out
    assert main(["models", "show", "tiny"]) == 0
    assert json.loads(capsys.readouterr().out)["architecture"] == "token_unet_transformer"
    assert main(["models", "verify", "tiny"]) == 0
    (tmp_path / "mine" / "tiny" / "weights.safetensors").write_bytes(b"damaged")
    assert main(["models", "verify", "tiny"]) == 4


def test_an_ensemble_is_called_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKENUNET_MODELS", str(tmp_path / "mine"))
    assert main(["models", "import", str(small_bundle(tmp_path / "folds", members=5))]) == 0
    capsys.readouterr()
    assert main(["models", "show", "folds"]) == 0
    shown = capsys.readouterr()
    assert "ensemble of 5" in shown.err
    assert json.loads(shown.out)["members"] == 5
    for action in (["list"], ["verify", "folds"]):
        assert main(["models", *action]) == 0
        assert "token_unet_transformer, ensemble of 5" in capsys.readouterr().out


def test_the_shipped_model_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "verify", "token_unet_transformer"]) == 0


@pytest.mark.slow
def test_synthetic_patients_are_written_and_never_overwritten(tmp_path: Path) -> None:
    assert main(["synth", "--patients", "1", "--seed", "7", "--output", str(tmp_path)]) == 0
    endings = ("flair", "seg", "t1", "t1ce", "t2")
    files = {f"synthetic_00007_{ending}.nii.gz" for ending in endings}
    assert {p.name for p in (tmp_path / "synthetic_00007").iterdir()} == files
    assert main(["synth", "--patients", "2", "--seed", "6", "--output", str(tmp_path)]) == 6
    assert [p.name for p in tmp_path.iterdir()] == ["synthetic_00007"]


@pytest.mark.parametrize("arguments", [[], ["segment"], ["fly"], ["segment", "--output", "x", "--mode", "magic"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2


@pytest.mark.parametrize("numbers", [["--patients", "0"], ["--seed", "-1"]])
def test_synth_refuses_impossible_numbers(tmp_path: Path, numbers: list[str]) -> None:
    assert main(["synth", "--output", str(tmp_path / "x"), *numbers]) == 2
    assert not (tmp_path / "x").exists()


def test_unknown_words_are_answered_with_the_usage_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["segment", "patient", "--output", "x"])
    said = capsys.readouterr().err
    assert "--input DIR" in said
    assert said.endswith("tokenunet segment: error: unrecognized arguments: patient\n")
