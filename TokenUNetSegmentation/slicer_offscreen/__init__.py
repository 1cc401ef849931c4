"""Slicer's scene, logics and views on the slicer-core package: no application, no Qt, no display.

`OffscreenHost` holds the scene, `SliceView` and `ThreeDView` show it. They serve ``tokenunet demo`` and the tests; they
are not installed in Slicer, where the application does all of this.
"""

from slicer_offscreen.scene_host import OffscreenHost
from slicer_offscreen.views import SliceView, ThreeDView, require_rendering

__all__ = ["OffscreenHost", "SliceView", "ThreeDView", "require_rendering"]
