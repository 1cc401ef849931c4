"""What the modules need of Slicer: the scene's volumes, results and overlays, the panel's parts, the worker process.

What only needs a scene, such as `scene` and `displays`, runs on the slicer-core package too; the files whose names end
in ``panel`` need the application.
"""
