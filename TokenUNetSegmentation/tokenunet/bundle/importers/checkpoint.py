"""Weights of a foreign checkpoint, read in a process of its own."""

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from tokenunet.bundle.importers.archive import ModelFiles
from tokenunet.core.errors import UnusableWeightsError

_PROGRAM = Path(__file__).with_name("checkpoint_process.py")
_LONGEST_S = 900
_FORBIDDEN = re.compile(r"GLOBAL ([\w.]+)|([\w.]+) was not an allowed global")
_LONGEST_PROBLEM = 200


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        weights: Tensors by name, each once.
        facts: Configuration, trainer, epochs and mirrored axes, where nnU-Net's checkpoint says them.
    """

    weights: dict[str, Tensor]
    facts: dict[str, Any]


def read_checkpoint(files: ModelFiles, name: str) -> Checkpoint:
    """Read the weights of a checkpoint without executing anything of it.

    Args:
        files: Files of the model.
        name: Name of the checkpoint among them.

    Raises:
        UnusableWeightsError: If it is damaged, or holds anything but tensors and plain values.
        UnsafeBundleError: If it is larger than a checkpoint may be.
    """
    where = f"{name} of {files.source}"
    with tempfile.TemporaryDirectory(prefix="tokenunet-") as folder, files.checkpoint(name, Path(folder)) as path:
        output = Path(folder) / "weights.safetensors"
        try:
            process = subprocess.run(
                [sys.executable, str(_PROGRAM), str(path), str(output)],
                capture_output=True,
                text=True,
                timeout=_LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _unusable(where, f"reading it took more than {_LONGEST_S} s") from error
        try:
            answer = json.loads(process.stdout.splitlines()[-1])
        except (ValueError, IndexError) as error:
            raise _unusable(where, f"the process that read it ended with code {process.returncode}") from error
        if "error" in answer:
            raise _unusable(where, _in_words(answer["error"]))
        try:
            return Checkpoint(safetensors.torch.load(output.read_bytes()), answer["facts"])
        except (SafetensorError, OSError) as error:
            raise _unusable(where, str(error)) from error


def _in_words(problem: str) -> str:
    if match := _FORBIDDEN.search(problem):
        return f"it holds {match[1] or match[2]}, not only tensors and plain values"
    if "Weights only load failed" in problem:
        return "it holds more than tensors and plain values, or is damaged"
    return problem[:_LONGEST_PROBLEM]


def _unusable(where: str, problem: str) -> UnusableWeightsError:
    return UnusableWeightsError(
        f"{where} cannot be imported: {problem.rstrip('.')}.", "Ask for a checkpoint that holds weights only."
    )
