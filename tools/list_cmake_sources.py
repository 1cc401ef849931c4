"""Write the file lists that CMake installs: ``sources.cmake`` of both modules.

Example:
    python tools/list_cmake_sources.py
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("TokenUNetSegmentation", "TokenUNetTraining")
NOT_INSTALLED = "slicer_offscreen"  # stands in for the application, which is there
RESOURCE_ENDINGS = {".png", ".svg", ".ui", ".txt", ".html", ".css", ".typed"}


def sources_cmake(module: str) -> str:
    """Return the content of a module's ``sources.cmake``.

    Args:
        module: Name of the module and its folder.
    """
    folder = ROOT / module
    paths = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    files = [p for p in paths if not p.startswith(f"{NOT_INSTALLED}/")]
    lists = {
        "MODULE_PYTHON_SCRIPTS": [f for f in files if f.endswith(".py")],
        "MODULE_PYTHON_RESOURCES": [
            f for f in files if Path(f).suffix in RESOURCE_ENDINGS and f not in ("CMakeLists.txt", "sources.cmake")
        ],
    }
    lines = ["# Written by tools/list_cmake_sources.py"]
    for name, entries in lists.items():
        lines += [f"set({name}", *(f"  {entry}" for entry in entries), "  )"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the lists of both modules."""
    for module in MODULES:
        (ROOT / module / "sources.cmake").write_text(sources_cmake(module), encoding="utf-8")


if __name__ == "__main__":
    main()
