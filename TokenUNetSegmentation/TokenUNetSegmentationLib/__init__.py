"""Parts of the Token-UNet modules that need an MRML scene or Qt.

`scene` needs an MRML scene only and also runs on the slicer-core package; `panels`, `logic` and `process` need Slicer's
application.
"""
