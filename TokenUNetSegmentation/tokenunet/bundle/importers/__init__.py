"""Importers of models that other frameworks trained.

Nothing of a foreign model is executed: descriptions are JSON, of which known entries are read, and weights are read by
PyTorch's restricted unpickler in a process of its own.
"""
