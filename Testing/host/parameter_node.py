"""Stand-in for slicer.parameterNodeWrapper: numbers, strings, enumerations and nodes, with their widgets."""

import enum
import types
import typing
from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk


class WithinRange:
    """Bounds of a number."""

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def check(self, value: float) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not in [{self.minimum}, {self.maximum}]")


class _Parameter:
    """Descriptor of one parameter, kept in the MRML node."""

    def __init__(self, name: str, hint: Any, default: Any) -> None:
        self.name = name
        self.limits: WithinRange | None = None
        if typing.get_origin(hint) is typing.Annotated:
            hint, *notes = typing.get_args(hint)
            self.limits = next((note for note in notes if isinstance(note, WithinRange)), None)
        if typing.get_origin(hint) in (typing.Union, types.UnionType):
            hint = next(choice for choice in typing.get_args(hint) if choice is not type(None))
        self.type: Any = hint
        self.is_node = issubclass(hint, slicer.vtkMRMLNode)
        if default is None and not self.is_node:
            default = next(iter(hint)) if issubclass(hint, enum.Enum) else hint()
        self.default = default

    def __get__(self, wrapper: Any, owner: type) -> Any:
        if wrapper is None:
            return self
        node = wrapper.parameterNode
        if self.is_node:
            if self.name in wrapper.absent:  # as the application's wrapper, which keeps None until it writes
                return None
            found = node.GetNodeReference(self.name)
            if found is None:
                wrapper.absent.add(self.name)
            return found
        if not node.HasParameter(self.name):
            return self.default
        text = node.GetParameter(self.name)
        if self.type is bool:
            return text == "True"
        return self.type[text] if issubclass(self.type, enum.Enum) else self.type(text)

    def __set__(self, wrapper: Any, value: Any) -> None:
        node = wrapper.parameterNode
        if self.is_node:
            if value is not None and not isinstance(value, self.type):
                raise TypeError(f"{self.name} must be a {self.type.__name__}")
            wrapper.absent.discard(self.name)
            node.SetNodeReferenceID(self.name, value.GetID() if value else None)
            return
        if self.limits:
            self.limits.check(value)
        node.SetParameter(self.name, value.name if isinstance(value, enum.Enum) else str(value))


def _connector(widget: Any, parameter: _Parameter) -> tuple[Any, Callable[[], Any], Callable[[Any], None]]:
    """Signal, reader and writer of a widget that shows a parameter."""
    if hasattr(widget, "currentNode"):
        return widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode
    if type(widget) is qt.QComboBox and issubclass(parameter.type, enum.Enum):
        choices = list(parameter.type)
        widget.clear()
        widget.addItems([choice.label() if hasattr(choice, "label") else choice.name for choice in choices])
        return (
            widget.currentIndexChanged,
            lambda: choices[widget.currentIndex],
            lambda value: widget.setCurrentIndex(choices.index(value)),
        )
    if type(widget) in (qt.QCheckBox, qt.QPushButton):
        return widget.toggled, lambda: widget.checked, widget.setChecked
    if parameter.limits:
        widget.minimum, widget.maximum = parameter.limits.minimum, parameter.limits.maximum
    return widget.valueChanged, lambda: parameter.type(widget.value), lambda value: setattr(widget, "value", value)


def _connect_gui(self: Any, widgets: Any) -> int:
    links = []
    for widget in vars(widgets).values():
        name = widget.property("SlicerParameterName")
        if name:
            links.append((name, *_connector(widget, self.allParameters[name])))
    updating = False

    def show(*_: Any) -> None:
        nonlocal updating
        if not updating:
            updating = True
            try:
                for name, _signal, _read, write in links:
                    write(getattr(self, name))
            finally:
                updating = False

    show()
    slots = []
    for name, signal, read, _write in links:

        def store(*_: Any, name: str = name, read: Callable[[], Any] = read) -> None:
            if not updating:
                setattr(self, name, read())

        signal.connect(store)
        slots.append((signal, store))
    tag = int(self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, show))
    self._connections[tag] = slots
    return tag


def _disconnect_gui(self: Any, tag: int | None) -> None:
    for signal, slot in self._connections.pop(tag, ()):
        signal.disconnect(slot)
    if tag is not None:
        self.parameterNode.RemoveObserver(tag)


def parameterNodeWrapper(wrapped: type) -> type:
    """Class decorator: every annotated attribute becomes a typed parameter of the MRML node."""
    cls: Any = wrapped
    cls.allParameters = {
        name: _Parameter(name, hint, cls.__dict__.get(name))
        for name, hint in typing.get_type_hints(cls, include_extras=True).items()
    }
    for name, parameter in cls.allParameters.items():
        setattr(cls, name, parameter)

    def init(self: Any, node: Any) -> None:
        self.parameterNode = node
        self._connections = {}
        self.absent: set[str] = set()
        for name, parameter in cls.allParameters.items():
            if not parameter.is_node and not node.HasParameter(name):
                setattr(self, name, parameter.default)

    cls.__init__ = init
    for method in ("StartModify", "EndModify", "AddObserver", "RemoveObserver", "HasObserver", "Modified"):
        setattr(cls, method, lambda self, *a, _method=method: getattr(self.parameterNode, _method)(*a))
    cls.connectGui = _connect_gui
    cls.disconnectGui = _disconnect_gui
    return cls
