"""Vocabulary shared by all rooms: sequences, regions, grids, predictions, events and errors. Imports no PyTorch."""
