"""What the module files and their libraries evaluate while the application is still starting."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for module in ("TokenUNetSegmentation", "TokenUNetTraining")
    for path in [ROOT / module / f"{module}.py", *(ROOT / module / f"{module}Lib").rglob("*.py")]
)
EXISTS_LATER = {
    "sys": {"executable"},
    "slicer": {"app", "mrmlScene", "modules", "dicomDatabase"},
    "tempfile": {"gettempdir", "mkdtemp", "mkstemp", "TemporaryDirectory"},
}


def evaluated_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below `node` but the bodies of functions: their default arguments and decorators are included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            arguments = child.args
            parts: list[ast.AST | None] = [*arguments.defaults, *arguments.kw_defaults]
            parts += [] if isinstance(child, ast.Lambda) else child.decorator_list
            for part in filter(None, parts):
                yield part
                yield from evaluated_at_import(part)
        else:
            yield child
            yield from evaluated_at_import(child)


def used_too_early(source: str) -> list[str]:
    """Expressions like "sys.executable in line 3" that are evaluated when the source is imported."""
    return [
        f"{node.value.id}.{node.attr} in line {node.lineno}"
        for node in evaluated_at_import(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.attr in EXISTS_LATER.get(node.value.id, ())
    ]


@pytest.mark.parametrize(
    "source",
    [
        "def f(python=sys.executable): pass",
        "def f(*, folder=Path(slicer.app.temporaryPath)): pass",
        "class C:\n    python: str = sys.executable",
        "class C:\n    def f(self, keep=slicer.app.settings().value('keep')): pass",
        "SETTINGS = slicer.app.settings()",
        "if True:\n    run = lambda python=sys.executable: python",
    ],
)
def test_used_too_early_finds_every_place(source: str) -> None:
    assert len(used_too_early(source)) == 1
    assert used_too_early("def f(): return sys.executable, slicer.app.settings()\ng = lambda: slicer.app") == []


def test_modules_use_nothing_that_exists_only_later() -> None:
    assert len(SOURCES) > 40
    found = {str(path.relative_to(ROOT)): used_too_early(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {path: places for path, places in found.items() if places} == {}


def test_defaults_and_constants_hold_no_executable() -> None:
    """The same, asked of the imported modules: their interpreter is named by a function call, too."""
    names = [
        ".".join(path.relative_to(ROOT / path.relative_to(ROOT).parts[0]).with_suffix("").parts) for path in SOURCES
    ]
    script = f"""
import sys
sys.path[:0] = {[str(path) for path in sys.path]!r}
import host, importlib, inspect
host.start()
sys.executable = "/not/set/yet"
found = []
def look(name, value, depth=0):
    if isinstance(value, str) and "/not/set/yet" in value:
        found.append(name)
    elif inspect.isfunction(value):
        for number, default in enumerate([*(value.__defaults__ or ()), *(value.__kwdefaults__ or {{}}).values()]):
            look(f"{{name}}({{number}})", default, depth + 1)
    elif inspect.isclass(value) and depth < 2:
        for key, member in vars(value).items():
            look(f"{{name}}.{{key}}", member, depth + 1)
    elif isinstance(value, (tuple, list, set)) and depth < 4:
        for member in value:
            look(name, member, depth + 1)
    elif isinstance(value, dict) and depth < 4:
        for key, member in value.items():
            look(f"{{name}}[{{key!r}}]", member, depth + 1)
for name in {names!r}:
    module = importlib.import_module(name.removesuffix(".__init__"))
    for key, value in list(vars(module).items()):
        if getattr(value, "__module__", module.__name__) == module.__name__ and not key.startswith("__"):
            look(f"{{name}}.{{key}}", value)
print("found", found)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "found []", run.stdout + run.stderr[-2000:]


def test_worker_starts_though_it_was_imported_before_the_executable_was_set(tmp_path: Path) -> None:
    script = f"""
import sys, pathlib
sys.path[:0] = {[str(path) for path in sys.path]!r}
import host
host.start()
for module in ("TokenUNetSegmentation", "TokenUNetTraining"):
    host.load_module(pathlib.Path({str(ROOT)!r}) / module / (module + ".py"))
from TokenUNetSegmentationLib.process.worker import WorkerProcess
worker = WorkerProcess(["models", "list"], pathlib.Path({str(tmp_path)!r}))
worker._process.wait()
print("code", worker.exit_code)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.stdout.strip().endswith("code 0"), run.stdout + run.stderr[-2000:]


def test_module_files_import_next_to_nothing() -> None:
    """The application imports both files while it starts, which its maintainers watch; in seconds of CPU time."""
    script = f"""
import sys
sys.path[:0] = {[str(path) for path in sys.path]!r}
import host, importlib, time
host.start()
own = []
for name in ("TokenUNetSegmentation", "TokenUNetTraining"):
    sys.path.insert(0, {str(ROOT)!r} + "/" + name)
    before = set(sys.modules)
    importlib.import_module(name)
    new = set(sys.modules) - before
    own += new
    shortest = 1e9
    for _ in range(3):
        for module in new:
            sys.modules.pop(module, None)
        began = time.process_time()
        importlib.import_module(name)
        shortest = min(shortest, time.process_time() - began)
    print(f"{{name}} {{1000 * shortest:.0f}} ms")
    assert shortest < 0.05
print(" ".join(sorted(own)))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
    modules = run.stdout.splitlines()[-1].split()
    rooms = {module.rpartition(".")[0] for module in modules if "." in module}
    assert rooms <= {
        "tokenunet.core",
        "TokenUNetSegmentationLib",
        "TokenUNetSegmentationLib.logic",
        "TokenUNetSegmentationLib.scene",
        "TokenUNetTrainingLib",
        "TokenUNetTrainingLib.logic",
    }
    assert {module for module in modules if "." not in module} <= {
        "tokenunet",
        "TokenUNetSegmentation",
        "TokenUNetSegmentationLib",
        "TokenUNetTraining",
        "TokenUNetTrainingLib",
    }
