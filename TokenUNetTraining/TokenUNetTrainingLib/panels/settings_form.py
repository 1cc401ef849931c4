"""Check boxes of the architectures, and rows of the settings, as the library declares them."""

from typing import Any

import qt
from slicer.i18n import tr as _
from tokenunet.networks.registry import architectures
from tokenunet.training.config.configuration import SETTINGS


def architecture_boxes(form: Any) -> dict[str, Any]:
    """Create a check box for each registered architecture.

    Args:
        form: Widget with a layout for the boxes.

    Returns:
        Boxes by the architectures' names.
    """
    boxes = {}
    for name, found in architectures().items():
        box = qt.QCheckBox(found.title)
        box.setObjectName(f"architecture_{name}")
        box.setToolTip(_(found.description))
        form.layout().addWidget(box)
        boxes[name] = box
    return boxes


def setting_edits(form: Any) -> dict[str, Any]:
    """Create a row with a line edit for each setting that has a title.

    Args:
        form: Widget with a form layout for the rows.

    Returns:
        Line edits by the settings' names.
    """
    edits = {}
    for name, found in SETTINGS.items():
        if found.title:
            label, edits[name] = qt.QLabel(_(found.title) + ":"), qt.QLineEdit()
            edits[name].setObjectName(f"setting_{name}")
            for widget in (label, edits[name]):
                widget.setToolTip(_(found.hint))
            form.layout().addRow(label, edits[name])
    return edits
