"""Check and install the Python packages that Slicer does not include, after asking the user.

PyTorch comes through the PyTorch extension, which picks the build for the graphics card; the rest through pip. What
Slicer itself needs, such as numpy, SimpleITK, vtk and pydicom, and an installed PyTorch are never replaced.
"""

import importlib
import importlib.metadata
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from subprocess import CalledProcessError

import slicer
import slicer.util
from packaging.requirements import Requirement
from slicer.i18n import tr as _
from tokenunet.core.errors import TokenUNetError

_WINDOWS_TORCH = "<2.13"
_WINDOWS_LONGEST_PATH = 259
_LONGEST_PATH_IN_TORCH = 120
"""Characters of PyTorch's longest path below ``site-packages``; from 2.13 on, licenses have up to 171."""
_BUILT_IN = ("numpy", "SimpleITK", "vtk")
_NEVER_REPLACED = (*_BUILT_IN, "torch", "pydicom", "highdicom", "dcmqi")
_KEPT = (*_NEVER_REPLACED, "scipy", "packaging", "requests")


class InstallationError(TokenUNetError):
    """A required package is missing or could not be installed."""

    code = "installation"


def read_requirements(path: Path) -> list[Requirement]:
    """Return the requirements listed in a file, without comments."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def missing_requirements(requirements: Iterable[Requirement]) -> list[Requirement]:
    """Return the requirements that are not installed, or only in an unsuitable version."""
    return [requirement for requirement in requirements if not _is_installed(requirement)]


def check_installed(requirements: Iterable[Requirement]) -> None:
    """Check that all required packages are installed.

    Raises:
        InstallationError: If a package is missing.
    """
    missing = missing_requirements(requirements)
    if missing:
        raise InstallationError(
            _("Not installed yet: {what}.").format(what=describe(missing)),
            _("Open the module's panel and press “Install…”."),
        )


def _is_installed(requirement: Requirement) -> bool:
    version = installed_version(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def installed_version(package: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe(missing: Sequence[Requirement]) -> str:
    """Return the names of missing packages and their download size, for the panel and the question."""
    with_torch = any(requirement.name == "torch" for requirement in missing)
    size = _("0.3 to 3 GB") if with_torch else _("a few MB")
    return _("{names} ({size} to download)").format(names=_names(missing), size=size)


def _names(requirements: Sequence[Requirement]) -> str:
    return ", ".join(requirement.name for requirement in requirements)


def _offline_hint() -> str:
    return _(
        "Without network: on another computer with the same system and Python, run “pip download -r requirements.txt” "
        "with the module's requirements, bring the folder here, and choose “Install from folder…”."
    )


def user_agrees(missing: Sequence[Requirement]) -> bool:
    """Ask the user whether to install packages."""
    question = _("Token-UNet needs Python packages that Slicer does not have: {what}. Install them now?")
    return bool(slicer.util.confirmOkCancelDisplay(question.format(what=describe(missing)), "Token-UNet"))


def install(missing: Sequence[Requirement], wheels: Path | None = None) -> None:
    """Install packages into Slicer's Python.

    Args:
        missing: Requirements to install.
        wheels: Folder with wheel files to install from without network; None downloads them.

    Raises:
        InstallationError: If the installation fails, or a package is still missing afterwards.
    """
    if any(requirement.name == "torch" for requirement in missing):
        check_path_length(Path(sysconfig.get_path("purelib")), sys.platform, _long_paths_enabled())
    missing = [_for_platform(requirement, sys.platform) for requirement in missing]
    before = {package: installed_version(package) for package in _KEPT}
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(constraint_lines(before)) + "\n")
        try:
            if wheels is not None:
                _pip_install(["--no-index", "--find-links", str(wheels), "-c", str(constraints), *map(str, missing)])
            else:
                _install_from_network(missing, constraints)
        except (CalledProcessError, RuntimeError, ImportError, OSError) as error:  # PyTorch is imported at its end
            reason = str(error)
            if isinstance(error, CalledProcessError):
                reason = _("pip ended with {exit_code}").format(exit_code=error.returncode)
            raise InstallationError(
                _("The installation of {what} failed ({reason}).").format(what=_names(missing), reason=reason),
                "" if wheels is not None else f"{_('Check the network and try again.')} {_offline_hint()}",
            ) from error
    importlib.invalidate_caches()
    if still_missing := missing_requirements(missing):
        raise InstallationError(
            _("Still missing after the installation: {what}.").format(what=_names(still_missing)),
            _("Restart Slicer and try again."),
        )
    moved = [p for p in _NEVER_REPLACED if before[p] is not None and installed_version(p) != before[p]]
    if moved:
        raise InstallationError(
            _("The installation has replaced Slicer's own {what}.").format(what=", ".join(moved)),
            _("Install Slicer again."),
        )


def constraint_lines(versions: dict[str, str | None]) -> list[str]:
    """Return the lines of a constraints file that pins packages to their versions.

    Packages that Slicer includes without pip's knowledge, such as vtk, must not be installed a second time.

    Args:
        versions: Installed version by package; None if pip does not know of the package.
    """
    kept = [f"{package}=={version}" for package, version in versions.items() if version is not None]
    return kept + [f"{package}<0" for package in _BUILT_IN if package in versions and versions[package] is None]


def _install_from_network(missing: Sequence[Requirement], constraints: Path) -> None:
    torch = [requirement for requirement in missing if requirement.name == "torch"]
    rest = [str(requirement) for requirement in missing if requirement.name != "torch"]
    if torch:
        _install_torch(torch[0])
    if not rest:
        return
    try:
        from slicer.packaging import pip_ensure
    except ImportError:  # before Slicer 5.12
        _pip_install(["-c", str(constraints), *rest])
    else:
        pip_ensure(rest, constraints=constraints, prompt_install=False, requester="Token-UNet")


def _install_torch(requirement: Requirement) -> None:
    try:
        import PyTorchUtils
    except ImportError as error:
        raise InstallationError(
            _("The PyTorch extension is not installed."),
            _("Install “PyTorch” in the Extensions Manager, restart Slicer, and try again.") + f" {_offline_hint()}",
        ) from error
    PyTorchUtils.PyTorchUtilsLogic().installTorch(
        askConfirmation=False, torchVersionRequirement=str(requirement.specifier)
    )


def torch_versions(requirement: Requirement, platform: str) -> str:
    """Return the versions of PyTorch to install.

    Args:
        requirement: What the module needs.
        platform: Name of the operating system, as in `sys.platform`.

    Returns:
        Version specifier; on Windows below 2.13, whose files have paths too long for Slicer's folder.
    """
    specifier = str(requirement.specifier)
    return f"{specifier},{_WINDOWS_TORCH}" if platform == "win32" else specifier


def _for_platform(requirement: Requirement, platform: str) -> Requirement:
    """Return a requirement with the versions that can be installed on an operating system."""
    return Requirement(f"torch{torch_versions(requirement, platform)}") if requirement.name == "torch" else requirement


def check_path_length(packages: Path, platform: str, long_paths: bool) -> None:
    """Check that the paths of PyTorch's files are not too long for Windows.

    Otherwise pip would fail halfway and leave a broken Python.

    Args:
        packages: Folder into which Python packages are installed.
        platform: Name of the operating system, as in `sys.platform`.
        long_paths: Whether Windows is configured to allow paths of any length.

    Raises:
        InstallationError: If Windows does not allow paths of the required length.
    """
    longest = len(str(packages)) + 1 + _LONGEST_PATH_IN_TORCH
    if platform == "win32" and not long_paths and longest > _WINDOWS_LONGEST_PATH:
        raise InstallationError(
            _("PyTorch cannot be installed into {folder}: its files would have paths too long for Windows.").format(
                folder=packages
            ),
            _("Install Slicer again into a folder with a short path, such as C:\\Slicer, and Token-UNet there."),
        )


def _long_paths_enabled() -> bool:
    if sys.platform != "win32":
        return True
    import winreg

    key = r"SYSTEM\CurrentControlSet\Control\FileSystem"
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:
            return bool(winreg.QueryValueEx(opened, "LongPathsEnabled")[0])
    except OSError:
        return False


def _pip_install(arguments: list[str]) -> None:
    slicer.util.pip_install(arguments)
