import json
import stat
import zipfile
from pathlib import Path

import pytest
import torch
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.bundle import files
from tokenunet.bundle.bundle import MANIFEST_NAME, ModelManifest, load_bundle, save_bundle
from tokenunet.bundle.files import WEIGHTS_NAME
from tokenunet.bundle.store import find_model, import_model, stored_models
from tokenunet.core.errors import ModelError, UnsafeBundleError, UnusableWeightsError
from tokenunet.core.sequences import SEQUENCES
from tokenunet.networks import build_network


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return small_bundle(tmp_path / "model")


def zipped(folder: Path, prefix: str = "", compression: int = zipfile.ZIP_STORED, **extra: bytes) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name in (MANIFEST_NAME, WEIGHTS_NAME):
            archive.write(folder / name, prefix + name)
        for name, data in extra.items():
            archive.writestr(name, data)
    return path


def edit_manifest(folder: Path, **changes: object) -> None:
    path = folder / MANIFEST_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_weights_come_back_as_they_were_stored(tmp_path: Path) -> None:
    network = build_network(SMALL_MANIFEST.architecture, **SMALL_MANIFEST.arguments)
    save_bundle(tmp_path / "model", SMALL_MANIFEST, [network], torch.float32)
    for name, value in load_bundle(tmp_path / "model").build().state_dict().items():
        assert torch.equal(value, network.state_dict()[name])


def test_half_precision_weights_are_half_the_size_and_build_in_single(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    assert all(value.dtype == torch.float16 for value in loaded.weights.values())
    assert all(value.dtype == torch.float32 for value in loaded.build().state_dict().values())


def test_an_ensemble_gives_back_each_of_its_networks(tmp_path: Path) -> None:
    networks = [build_network(SMALL_MANIFEST.architecture, **SMALL_MANIFEST.arguments) for _ in range(3)]
    loaded = load_bundle(save_bundle(tmp_path / "model", SMALL_MANIFEST, iter(networks), torch.float32))
    assert loaded.manifest.members == 3
    assert loaded.manifest.kind == "token_unet_transformer, ensemble of 3"
    for member, network in enumerate(networks):
        built = loaded.build(member).state_dict()
        assert all(torch.equal(built[name], value) for name, value in network.state_dict().items())
    for member in (-1, 3):
        with pytest.raises(IndexError, match=f"no member {member}"):
            loaded.build(member)
    assert {p.name for p in (tmp_path / "model").iterdir()} == {MANIFEST_NAME, WEIGHTS_NAME}


def test_bundles_from_before_there_were_ensembles_still_load(bundle: Path) -> None:
    path = bundle / MANIFEST_NAME
    values = json.loads(path.read_text())
    del values["members"]
    path.write_text(json.dumps(values))
    loaded = load_bundle(bundle)
    assert loaded.manifest.members == 1
    loaded.build()


@pytest.mark.parametrize("members", [1, 2, 4, 5])
def test_an_ensemble_with_more_or_fewer_networks_than_it_says_is_refused(tmp_path: Path, members: int) -> None:
    bundle = small_bundle(tmp_path / "model", members=3)
    edit_manifest(bundle, members=members)
    with pytest.raises(UnusableWeightsError):
        load_bundle(bundle).build()


def test_an_ensemble_of_unlike_networks_is_refused_before_it_runs(tmp_path: Path) -> None:
    arguments = [SMALL_MANIFEST.arguments, SMALL_MANIFEST.arguments | {"hidden": 16}]
    networks = [build_network(SMALL_MANIFEST.architecture, **a) for a in arguments]
    bundle = save_bundle(tmp_path / "model", SMALL_MANIFEST, networks)
    with pytest.raises(UnusableWeightsError, match="not those of 2 networks"):
        load_bundle(bundle)


def test_what_could_not_be_loaded_again_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(files.SIZE_LIMITS, WEIGHTS_NAME, 1000)
    with pytest.raises(ModelError, match="the limit is 1000"):
        small_bundle(tmp_path / "model", members=2)
    with pytest.raises(ModelError, match="no network"):
        small_bundle(tmp_path / "model", members=0)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("prefix", ["", "my model/"])
def test_a_zip_holds_the_same_model(bundle: Path, prefix: str) -> None:
    from_folder, from_zip = load_bundle(bundle), load_bundle(zipped(bundle, prefix))
    assert from_zip.manifest == from_folder.manifest
    assert all(torch.equal(from_zip.weights[name], value) for name, value in from_folder.weights.items())


def test_changed_weights_are_refused(bundle: Path) -> None:
    path = bundle / WEIGHTS_NAME
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(UnusableWeightsError, match="do not match their checksum"):
        load_bundle(bundle)


@pytest.mark.parametrize("arguments", [{"channels": []}, {"heads": 0}, {"nonsense": 1}])
def test_arguments_that_make_no_network_are_refused(bundle: Path, arguments: dict) -> None:
    edit_manifest(bundle, arguments=arguments)
    with pytest.raises(ModelError, match="cannot be built"):
        load_bundle(bundle).build()


def test_weights_of_another_architecture_are_refused(bundle: Path) -> None:
    edit_manifest(bundle, arguments={})
    with pytest.raises(UnusableWeightsError, match="do not fit its architecture"):
        load_bundle(bundle).build()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema_version": 2}, "schema version 2"),
        ({"architecture": "os.system"}, "unknown architecture"),
        ({"channels": []}, "names no channels"),
        ({"channels": [{"name": "T1", "aliases": []}] * 2}, "names t1 twice: as T1 and as T1"),
        ({"channels": [{"name": "../T1", "aliases": []}]}, "unknown channel '../T1'"),
        ({"channels": [{"name": "T1gd", "aliases": []}]}, "unknown channel T1gd, which must be called T1ce"),
        ({"channels": [{"name": "ADC", "aliases": ["t1"]}]}, "gives ADC the name t1"),
        ({"optional_channels": [{"channels": ["PD"], "dice_change": {}}]}, "unknown channel PD be missing"),
        ({"optional_channels": [{"channels": list(SEQUENCES), "dice_change": {}}]}, "which cannot be"),
        ({"regions": ["WT", "TC"]}, "regions"),
        ({"regions": 3}, "not usable"),
        ({"activation": "relu"}, "activation"),
        ({"normalization": "none"}, "normalization"),
        ({"spacing": [1, 1, -1]}, "spacing"),
        ({"orientation": "LLS"}, "orientation"),
        ({"patch_size": [100, 128, 128]}, "patch size"),
        ({"arguments": {"depth": 10**9}}, "out of range"),
        ({"arguments": {"channels": [10**9]}}, "out of range"),
        ({"arguments": []}, "must be JSON objects"),
        ({"training": []}, "must be JSON objects"),
        ({"second_pass_without": ["PET"]}, "unknown channel PET out of the second pass"),
        ({"second_pass_without": ["T1ce"], "activation": "softmax"}, "needs the activation sigmoid"),
        ({"core_reach_mm": 0}, "core_reach_mm needs a length"),
        ({"core_reach_mm": "10"}, "not usable"),
        ({"core_reach_mm": 10, "activation": "softmax"}, "and the activation sigmoid"),
        ({"least_evidence": {"WT": 9, "NCR": 9}}, "least_evidence names a region that is none of WT, TC, ET"),
        ({"least_evidence": {"WT": "9"}}, "not usable"),
        ({"least_evidence": {"WT": 1e9}}, "is not a logit"),
        ({"least_evidence": [9]}, "names a region that is none of"),
        ({"least_evidence": {"WT": 9}, "activation": "softmax"}, "least_evidence needs the activation sigmoid"),
        ({"least_evidence": {"WT": 9}, "members": 2}, "and a single network"),
        ({"usual_evidence": "14"}, "not usable"),
        ({"coil_profile_limit": 1}, "coil_profile_limit needs a share"),
        ({"coil_profile_limit": "0.5"}, "not usable"),
        ({"least_spread": {"PD": 0.9}}, "least_spread names a channel that the model does not have"),
        ({"least_spread": {"T1ce": 0}}, "a spread above 0, up to 1"),
        ({"least_spread": {"T1ce": "0.9"}}, "not usable"),
        ({"members": 0}, "members 0"),
        ({"members": 10**9}, "members 1000000000"),
        ({"members": True}, "members True"),
        ({"members": "5"}, "members '5'"),
        ({"surprise": 1}, "unknown fields: surprise"),
    ],
)
def test_an_unusable_manifest_is_named(bundle: Path, changes: dict, words: str) -> None:
    edit_manifest(bundle, **changes)
    with pytest.raises(ModelError, match=words):
        load_bundle(bundle)


def test_a_manifest_that_is_no_json_is_named(bundle: Path) -> None:
    (bundle / MANIFEST_NAME).write_text("{")
    with pytest.raises(ModelError, match="not valid JSON"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:evil.txt"])
def test_paths_that_leave_the_archive_are_refused(bundle: Path, name: str) -> None:
    with pytest.raises(UnsafeBundleError, match="leaves the archive"):
        load_bundle(zipped(bundle, **{name: b"x"}))


def test_links_are_refused(bundle: Path) -> None:
    path = zipped(bundle)
    link = zipfile.ZipInfo("weights")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UnsafeBundleError, match="a link"):
        load_bundle(path)


def test_oversized_entries_are_refused_before_they_are_read(bundle: Path) -> None:
    path = bundle.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST_NAME, b" " * (2**20 + 1))
    with pytest.raises(UnsafeBundleError, match="larger"):
        load_bundle(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_zip_is_one_clear_sentence(bundle: Path, compression: int) -> None:
    path = zipped(bundle, compression=compression)
    data = bytearray(path.read_bytes())
    data[200:400] = bytes(200)
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"model\.zip"):
        load_bundle(path)


@pytest.mark.parametrize("name", ["absent", "file.txt", "empty"])
def test_what_is_no_bundle_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=name):
        load_bundle(tmp_path / name)


def test_an_imported_model_is_found_by_name(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENUNET_MODELS", str(tmp_path / "mine"))
    path = import_model(zipped(bundle))
    assert find_model("model") == path
    assert load_bundle(path).manifest == load_bundle(bundle).manifest
    assert "model" in [model.name for model in stored_models()]
    with pytest.raises(ModelError, match="no model 'other'"):
        find_model("other")


def test_manifest_survives_json() -> None:
    assert ModelManifest.from_json(SMALL_MANIFEST.to_json(), "test") == SMALL_MANIFEST


def test_find_model_knows_former_names() -> None:
    assert find_model("token_unet_transformer") == find_model("default")
    assert find_model("synthetic_only") != find_model("default")
