"""What is missing is said, installed with consent, and Slicer's own packages stay."""

import importlib.metadata
import sys
from pathlib import Path
from subprocess import CalledProcessError
from types import ModuleType, SimpleNamespace
from typing import Any

import host
import pytest
from packaging.requirements import Requirement

TORCH, MONAI = Requirement("torch>=2.4"), Requirement("monai>=1.4")


class Pip:
    """Stands in for pip and for PyTorch's extension: keeps what is asked for, and "installs" it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import slicer
        from TokenUNetSegmentationLib.process import dependencies

        self.asked: list[list[str]] = []
        self.torch_asked: list[dict[str, Any]] = []
        self.constraints: list[str] = []
        self.failure: Exception | None = None
        self.absent = {"torch", "monai"}
        versions = dependencies.installed_version
        monkeypatch.setattr(
            dependencies, "installed_version", lambda name: None if name in self.absent else versions(name)
        )
        monkeypatch.setattr(slicer.util, "pip_install", lambda arguments: self.install(arguments))
        monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, title: True)
        logic = SimpleNamespace(installTorch=lambda **options: self.install_torch(**options))
        extension = ModuleType("PyTorchUtils")
        extension.PyTorchUtilsLogic = lambda: logic  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)

    def install(self, arguments: list[str]) -> None:
        self.asked.append(arguments)
        self.constraints = Path(arguments[arguments.index("-c") + 1]).read_text().split()
        if self.failure:
            raise self.failure
        self.absent.clear()

    def install_torch(self, **options: Any) -> None:
        self.torch_asked.append(options)
        if self.failure:
            raise self.failure
        self.absent.discard("torch")


@pytest.fixture
def pip(app: Any, monkeypatch: pytest.MonkeyPatch) -> Pip:
    return Pip(monkeypatch)


@pytest.fixture
def bare_module(pip: Pip, module: host.LoadedModule, volumes: dict[str, Any]) -> host.LoadedModule:
    """The module where torch and monai are missing, with a patient to segment."""
    module.widget.runPanel.installation.missing = [TORCH, MONAI]
    module.widget.onParametersChanged()
    return module


def test_module_opens_without_torch_and_says_what_it_will_install(bare_module: host.LoadedModule) -> None:
    ui = bare_module.widget.ui
    assert ui.missingFrame.visible
    assert "Not installed yet: torch, monai (0.3 to 3 GB to download)" in ui.missingLabel.text
    assert ui.segmentButton.enabled
    assert "first this asks to install torch, monai" in ui.segmentButton.toolTip


def test_opening_the_module_imports_neither_torch_nor_monai() -> None:
    import subprocess

    folder = Path(__file__).resolve().parents[2]
    script = f"""
import sys
sys.path[:0] = [{str(folder / "Testing")!r}, {str(folder / "TokenUNetSegmentation")!r}]
for package in ("torch", "monai", "safetensors", "psutil"):
    sys.modules[package] = None
import pathlib, host
host.start()
module = host.load_module(pathlib.Path({str(folder)!r}) / "TokenUNetSegmentation" / "TokenUNetSegmentation.py")
print("opened", module.widget.ui.segmentButton.toolTip)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "opened Select the T1 volume." in run.stdout, run.stderr[-2000:]


def test_declining_installs_nothing(bare_module: host.LoadedModule, pip: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer

    questions: list[str] = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, title: bool(questions.append(text)))
    bare_module.widget.ui.segmentButton.click()
    assert "torch, monai" in questions[0]
    assert (pip.asked, pip.torch_asked) == ([], [])
    assert not bare_module.widget.runPanel.running


def test_torch_comes_through_its_extension_and_slicers_packages_stay(bare_module: host.LoadedModule, pip: Pip) -> None:
    bare_module.widget.ui.installButton.click()
    assert pip.torch_asked == [{"askConfirmation": False, "torchVersionRequirement": ">=2.4"}]
    assert pip.asked[0][-1] == "monai>=1.4"
    for package in ("numpy", "SimpleITK", "vtk"):
        assert f"{package}=={importlib.metadata.version(package)}" in pip.constraints
    assert not bare_module.widget.ui.missingFrame.visible
    assert bare_module.widget.runPanel.installation.missing == []
    assert bare_module.widget.ui.messageLabel.text == "Installed: torch, monai."


def test_newer_slicer_installs_through_its_packaging(
    bare_module: host.LoadedModule, pip: Pip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slicer 5.12, which also ships packages for DICOM."""
    import slicer
    from TokenUNetSegmentationLib.process import dependencies

    shipped = {"pydicom": "3.0.1", "highdicom": "0.27.0", "dcmqi": "0.4.0"}
    versions = dependencies.installed_version
    monkeypatch.setattr(dependencies, "installed_version", lambda name: shipped.get(name) or versions(name))
    asked: dict[str, Any] = {}

    def pip_ensure(requirements: list[str], **options: Any) -> None:
        asked.update(options, requirements=requirements, pins=Path(options["constraints"]).read_text().split())
        pip.absent.clear()

    packaging = ModuleType("slicer.packaging")
    packaging.pip_ensure = pip_ensure  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    monkeypatch.setattr(slicer, "packaging", packaging, raising=False)
    bare_module.widget.ui.installButton.click()
    assert asked["requirements"] == ["monai>=1.4"]
    assert asked["prompt_install"] is False, "the user has been asked once"
    assert any(pin.startswith("numpy==") for pin in asked["pins"])
    assert {f"{name}=={version}" for name, version in shipped.items()} <= set(asked["pins"])
    assert pip.asked == []


def test_replacing_a_package_of_slicer_is_reported(
    bare_module: host.LoadedModule, pip: Pip, monkeypatch: pytest.MonkeyPatch
) -> None:
    from TokenUNetSegmentationLib.process import dependencies

    versions = dependencies.installed_version
    monkeypatch.setattr(
        dependencies,
        "installed_version",
        lambda name: ("0.27.0" if pip.absent else "0.28.0") if name == "highdicom" else versions(name),
    )
    bare_module.widget.ui.installButton.click()
    assert "own highdicom. Install Slicer again." in bare_module.widget.ui.messageLabel.text


def test_without_network_it_says_how_to_go_on(bare_module: host.LoadedModule, pip: Pip) -> None:
    pip.failure = CalledProcessError(1, "pip")
    bare_module.widget.ui.installButton.click()
    message = bare_module.widget.ui.messageLabel.text
    assert "failed" in message
    assert "Check the network" in message
    assert "pip download -r requirements.txt" in message
    assert bare_module.widget.runPanel.installation.missing == [TORCH, MONAI]


def test_pytorch_that_cannot_be_imported_then_is_said(bare_module: host.LoadedModule, pip: Pip) -> None:
    pip.failure = OSError("c10.dll was not found")
    bare_module.widget.ui.installButton.click()
    assert "c10.dll was not found" in bare_module.widget.ui.messageLabel.text


def test_a_click_during_the_installation_starts_no_second_one(bare_module: host.LoadedModule, pip: Pip) -> None:
    """Slicer handles clicks after every line that pip prints."""
    ui, widget, install = bare_module.widget.ui, bare_module.widget, pip.install
    seen: list[tuple[bool, bool, str]] = []

    def installing(arguments: list[str]) -> None:
        seen.append((ui.segmentButton.enabled, ui.installButton.enabled, ui.segmentButton.toolTip))
        widget.runPanel.segment()
        install(arguments)

    pip.install = installing  # type: ignore[method-assign]
    ui.installButton.click()
    assert seen == [(False, False, "Packages are being installed.")]
    assert len(pip.asked) == 1
    assert not widget.runPanel.running
    assert ui.segmentButton.enabled


def test_a_scene_closed_during_the_installation_is_not_segmented(bare_module: host.LoadedModule, pip: Pip) -> None:
    import slicer

    install = pip.install

    def closing(arguments: list[str]) -> None:
        slicer.mrmlScene.Clear()
        install(arguments)

    pip.install = closing  # type: ignore[method-assign]
    bare_module.widget.ui.segmentButton.click()
    assert not bare_module.widget.runPanel.running
    assert not bare_module.widget.ui.missingFrame.visible


def test_without_the_pytorch_extension_it_says_where_to_get_it(
    bare_module: host.LoadedModule, pip: Pip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    bare_module.widget.ui.installButton.click()
    assert "Install “PyTorch” in the Extensions Manager" in bare_module.widget.ui.messageLabel.text


def test_folder_of_wheels_installs_without_network(
    bare_module: host.LoadedModule, pip: Pip, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import qt

    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", staticmethod(lambda *question: str(tmp_path)))
    bare_module.widget.ui.installFromFolderButton.click()
    assert pip.asked[0][:3] == ["--no-index", "--find-links", str(tmp_path)]
    assert pip.asked[0][-2:] == ["torch>=2.4", "monai>=1.4"]
    assert pip.torch_asked == []


def test_installation_that_changed_nothing_is_said(bare_module: host.LoadedModule, pip: Pip) -> None:
    pip.install_torch = lambda **options: None  # type: ignore[method-assign]
    pip.install = lambda arguments: None  # type: ignore[method-assign]
    bare_module.widget.ui.installButton.click()
    assert "Still missing" in bare_module.widget.ui.messageLabel.text


def test_what_slicer_brings_unknown_to_pip_is_kept_too() -> None:
    from TokenUNetSegmentationLib.process.dependencies import constraint_lines

    versions = {"numpy": "2.0.2", "vtk": None, "torch": None}
    assert constraint_lines(versions) == ["numpy==2.0.2", "vtk<0"]


def test_requirements_name_what_the_library_needs() -> None:
    """The module's requirements and the package's are the same, without what Slicer brings."""
    import tomllib

    from TokenUNetSegmentationLib.process.dependencies import read_requirements

    root = Path(__file__).resolve().parents[2]
    package = tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]
    module = read_requirements(root / "TokenUNetSegmentation" / "Resources" / "requirements.txt")
    in_slicer = {"numpy", "pydicom", "SimpleITK"}
    assert {str(r) for r in module} == {p for p in package if Requirement(p).name not in in_slicer}


def test_diagnostics_name_the_vtk_that_pip_does_not_know(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import vtk
    from TokenUNetSegmentationLib.logic import diagnostics

    monkeypatch.setattr(diagnostics, "installed_version", lambda package: None)
    assert f"vtk {vtk.vtkVersion.GetVTKVersion()}" in diagnostics.diagnostics(None, "", [])


def test_time_left_is_that_of_the_whole_run(app: Any) -> None:
    from TokenUNetSegmentationLib.logic.run import seconds_left

    assert seconds_left(0.2, 0.14, 31.0) > 20, "quick first stages say little of the slow one"
    assert seconds_left(27.0, 0.9, 31.0) == pytest.approx(3.0, abs=0.2)
    assert seconds_left(10.0, 0.5, None) == 10.0


def test_crash_names_the_stage_as_the_bar_does(app: Any, tmp_path: Path) -> None:
    from TokenUNetSegmentationLib.logic.run import crash_sentence

    assert "stage “Preparing the scans”" in crash_sentence(-9, "", "prepare", tmp_path)[0]


def test_torch_is_capped_on_windows(app: Any) -> None:
    from TokenUNetSegmentationLib.process.dependencies import torch_versions

    assert torch_versions(TORCH, "win32") == ">=2.4,<2.13"
    assert torch_versions(TORCH, "linux") == ">=2.4"


def test_gpus_of_all_makers_have_one_name(app: Any) -> None:
    """PyTorch shows those of AMD as CUDA devices."""
    from TokenUNetSegmentationLib.logic.options import Device

    assert {device.value: device.label() for device in Device}["cuda:0"] == "GPU"
    assert not any("CUDA" in device.label() for device in Device)


@pytest.mark.parametrize(
    ("folder", "platform", "long_paths", "fits"),
    [
        ("C:/Slicer/lib/Python/Lib/site-packages", "win32", False, True),
        ("C:/Users/" + "a" * 100 + "/AppData/Local/slicer.org/lib/Python/Lib/site-packages", "win32", False, False),
        ("C:/Users/" + "a" * 100 + "/AppData/Local/slicer.org/lib/Python/Lib/site-packages", "win32", True, True),
        ("/home/" + "a" * 200, "linux", False, True),
    ],
)
def test_long_paths_are_refused_before_the_installation(
    app: Any, folder: str, platform: str, long_paths: bool, fits: bool
) -> None:
    from TokenUNetSegmentationLib.process.dependencies import InstallationError, check_path_length

    if fits:
        check_path_length(Path(folder), platform, long_paths)
        return
    with pytest.raises(InstallationError, match="too long for Windows") as caught:
        check_path_length(Path(folder), platform, long_paths)
    assert "Install Slicer again" in caught.value.hint


def test_torch_from_a_folder_is_capped_on_windows(pip: Pip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from TokenUNetSegmentationLib.process import dependencies

    monkeypatch.setattr(dependencies, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(dependencies, "_long_paths_enabled", lambda: True)
    monkeypatch.setattr(dependencies, "missing_requirements", lambda requirements: [])
    dependencies.install([TORCH, MONAI], tmp_path)
    assert Requirement(pip.asked[0][-2]).specifier == Requirement("torch>=2.4,<2.13").specifier
