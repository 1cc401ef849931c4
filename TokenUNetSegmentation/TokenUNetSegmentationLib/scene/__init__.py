"""MRML nodes, displays, layouts and export."""
