"""Slicer's scene, logics and views on the slicer-core package, without application, Qt and display.

`OffscreenHost` contains the scene, `SliceView` and `ThreeDView` render it. They are used by ``tokenunet demo`` and the
tests, and are not installed in Slicer, where the application provides all of this.
"""

from slicer_offscreen.scene_host import OffscreenHost
from slicer_offscreen.translation import provide_translation
from slicer_offscreen.views import SliceView, ThreeDView, require_rendering

provide_translation()  # at import, because the scene's files import it before there is a host

__all__ = ["OffscreenHost", "SliceView", "ThreeDView", "require_rendering"]
