"""The part of the module that needs Slicer's scene: volumes, results, masks and their display.

Nothing here needs Qt or the Slicer application: all of it runs on the slicer-core package too.
"""
