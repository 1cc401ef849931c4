"""Models that can be chosen by name: those that ship with the program, and those that a user imported."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tokenunet.bundle.files import CARD_NAME, SIZE_LIMITS, read_bundle_files
from tokenunet.bundle.manifest import MANIFEST_NAME, ModelManifest
from tokenunet.core.errors import ModelError, OutputExistsError
from tokenunet.io.files import STAGING_PREFIX, remove_abandoned, staging_folder
from tokenunet.io.resources import resource

DEFAULT_MODEL = "default"
_FORMER_NAMES = {"token_unet_transformer": DEFAULT_MODEL}
"""Names by which earlier versions knew models that ship."""


@dataclass(frozen=True)
class StoredModel:
    """Model that can be chosen by name, without its weights.

    Attributes:
        name: Name of the bundle's folder.
        path: Path of the bundle.
        manifest: Content of ``model.json``.
    """

    name: str
    path: Path
    manifest: ModelManifest


def user_models_folder() -> Path:
    """Return the folder of imported models: ``$TOKENUNET_MODELS``, or ``.tokenunet/models`` in the home folder."""
    return Path(os.environ.get("TOKENUNET_MODELS") or Path.home() / ".tokenunet" / "models")


def stored_models() -> list[StoredModel]:
    """Return the models that can be chosen by name, shipped ones first, without unreadable ones."""
    models = []
    for folder in _model_folders():
        for manifest_file in sorted(folder.glob(f"*/{MANIFEST_NAME}")):
            path = manifest_file.parent
            try:
                manifest = ModelManifest.from_json(manifest_file.read_bytes(), str(path))
            except (ModelError, OSError):
                continue
            models.append(StoredModel(path.name, path, manifest))
    return models


def _model_folders() -> Iterator[Path]:
    with suppress(FileNotFoundError):  # an installation without the shipped models
        yield resource("Models")
    yield user_models_folder()


def find_model(name_or_path: str) -> Path:
    """Return the path of the bundle with a name or at a path.

    Args:
        name_or_path: Name from `stored_models`, or path of a bundle folder or .zip file.

    Raises:
        ModelError: If there is none.
    """
    models = {model.name: model.path for model in reversed(stored_models())}
    name = name_or_path if name_or_path in models else _FORMER_NAMES.get(name_or_path, "")
    if name in models:
        return models[name]
    path = Path(name_or_path)
    if path.exists():
        return path
    names = ", ".join(model.name for model in stored_models())
    raise ModelError(f"There is no model {name_or_path!r}.", f"Give the path of a bundle, or one of: {names}.")


def find_manifest(name_or_path: str) -> ModelManifest:
    """Return the manifest of the bundle with a name or at a path.

    Raises:
        ModelError: If there is none, or it is not usable.
    """
    path = find_model(name_or_path)
    return ModelManifest.from_json(read_bundle_files(path)[MANIFEST_NAME], str(path))


def import_model(
    path: Path, mirroring: bool = False, on_fraction: Callable[[float], None] = lambda fraction: None
) -> Path:
    """Copy a model to the user's models: a bundle, or a model that nnU-Net or MONAI trained.

    A bundle keeps its folder's or archive's name; other models are named after their dataset or title.

    Args:
        path: Folder or archive of the model.
        mirroring: Whether windows of a model of nnU-Net are predicted mirrored too.
        on_fraction: Callback that receives the share of the weights that were read, from 0 to 1.

    Returns:
        Path of the copy.

    Raises:
        ModelError: If the model is not usable.
        OutputExistsError: If there is a model of that name.
        OutputError: If the user's folder cannot be written.
    """
    # Both import PyTorch, which listing models does without.
    from tokenunet.bundle.bundle import load_bundle
    from tokenunet.bundle.importers.read import is_foreign, read_foreign_model, save_foreign_model

    remove_unfinished_imports()
    if is_foreign(path):
        foreign = read_foreign_model(path, mirroring, on_fraction)
        target = _free_place(re.sub(r"[^A-Za-z0-9_.+-]+", "_", foreign.manifest.name).strip("_.") or "imported")
        return save_foreign_model(foreign, target)
    load_bundle(path).build()
    target = _free_place(path.stem if path.is_file() else path.resolve().name)
    with staging_folder(target, last=MANIFEST_NAME) as staging:
        for file, data in read_bundle_files(path).items():
            (staging / file).write_bytes(data)
    return target


def remove_unfinished_imports() -> None:
    """Remove what imports that were killed have left among the user's models."""
    for unfinished in user_models_folder().glob(f"*/{STAGING_PREFIX}*"):
        folder = unfinished.parent
        remove_abandoned(folder)
        is_running = any(folder.glob(f"{STAGING_PREFIX}*"))
        if not is_running and not (folder / MANIFEST_NAME).exists():  # killed while the files moved to their place
            for name in (*SIZE_LIMITS, CARD_NAME):
                (folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # it holds other files, or an import is running
            folder.rmdir()


def _free_place(name: str) -> Path:
    target = user_models_folder() / name
    if target.exists() or any(model.name == name for model in stored_models()):
        raise OutputExistsError(f"A model {name!r} already exists.", "Rename the bundle, or remove the other model.")
    return target
