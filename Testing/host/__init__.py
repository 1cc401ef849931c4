"""A host in which the scripted modules run without the application, for tests and for drawings of their panels.

Real: the MRML scene, its logics, `slicer.util` and the rendering of the views (package slicer-core).
Stand-ins: Qt is PySide6 dressed as PythonQt; the few ctk, qMRML and Slicer Python parts that the modules use.
`start` makes the host, `load_module` opens a module in it. README.md lists what this cannot prove.
"""

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any


def start() -> Any:
    """Starts the host once for the process and returns `slicer.app`."""
    import slicer

    if hasattr(slicer, "app"):
        return slicer.app
    from host.pythonqt import install_custom_widgets, install_qt

    install_qt()
    from PySide6 import QtWidgets
    from slicer_offscreen import OffscreenHost

    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    from host.ctk_widgets import CTK_WIDGETS
    from host.qmrml_widgets import MRML_WIDGETS

    install_custom_widgets(CTK_WIDGETS, MRML_WIDGETS)
    for widget in MRML_WIDGETS:
        setattr(slicer, widget.__name__, widget)
    scene_host = OffscreenHost()
    from host.application import Application
    from host.scene_watch import SceneWatch

    SceneWatch(scene_host.scene)
    slicer.app = Application(application, scene_host)
    plots = slicer.vtkSlicerPlotsLogic()
    plots.SetMRMLScene(scene_host.scene)
    slicer.modules.plots = SimpleNamespace(logic=lambda: plots)
    _install_slicer_python()
    return slicer.app


def _install_slicer_python() -> None:
    """Slicer's own Python files where ``SLICER_SOURCE`` names a checkout of Slicer, else the stand-ins."""
    import slicer

    if source := os.environ.get("SLICER_SOURCE"):
        _allow_any_widget_class()
        sys.modules.pop("slicer.i18n", None)  # the stand-in of `slicer_offscreen`
        slicer.__path__.append(str(Path(source) / "Base" / "Python" / "slicer"))
        return
    from host import parameter_node, scripted_module

    for name, contents in {
        "ScriptedLoadableModule": {
            name: getattr(scripted_module, name)
            for name in dir(scripted_module)
            if name.startswith("ScriptedLoadableModule")
        },
        "parameterNodeWrapper": {
            name: getattr(parameter_node, name) for name in ("parameterNodeWrapper", "WithinRange")
        },
    }.items():
        module = ModuleType(f"slicer.{name}")
        module.__dict__.update(contents, __all__=list(contents))
        sys.modules[module.__name__] = module
        setattr(slicer, name, module)


def _allow_any_widget_class() -> None:
    """Slicer's parameterNodeWrapper names every widget class that it can connect."""
    import ctk
    import slicer
    from PySide6.QtWidgets import QWidget

    def missing(name: str) -> type:
        return type(name, (QWidget,), {})

    ctk.__getattr__ = missing
    for name in ("SliderWidget", "SpinBox", "RangeWidget", "CheckableNodeComboBox", "SegmentSelectorWidget"):
        if not hasattr(slicer, f"qMRML{name}"):
            setattr(slicer, f"qMRML{name}", missing(f"qMRML{name}"))


@dataclass
class LoadedModule:
    """An opened scripted module: its Python module, its widget object, and the panel that shows it."""

    python: ModuleType
    widget: Any
    panel: Any

    def close(self) -> None:
        """What the application does when the module goes away."""
        self.widget.cleanup()
        self.panel.setMRMLScene(None)
        self.panel.deleteLater()


@contextmanager
def before_startup() -> Iterator[None]:
    """Empty `sys.executable`, which the application sets only after loading its modules."""
    executable, sys.executable = sys.executable, ""
    try:
        yield
    finally:
        sys.executable = executable


def load_module(path: Path) -> LoadedModule:
    """Opens a scripted module's file as the application does when a user selects the module."""
    import qt
    import slicer

    name = path.stem
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    python = importlib.util.module_from_spec(spec)
    sys.modules[name] = python
    parent = SimpleNamespace(path=str(path), name=name)
    setattr(slicer.modules, name.lower(), parent)
    with before_startup():
        spec.loader.exec_module(python)
        setattr(slicer.modules, f"{name}Instance", getattr(python, name)(parent))
    panel = slicer.qMRMLWidget()
    panel.setLayout(qt.QVBoxLayout())
    widget = getattr(python, f"{name}Widget")(panel)
    widget.setup()
    setattr(slicer.modules, f"{name}Widget", widget)
    parent.widgetRepresentation = lambda: SimpleNamespace(self=lambda: widget)
    return LoadedModule(python, widget, panel)
