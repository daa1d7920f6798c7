"""Python beside a declaration: a class that overrides verbs of `DeclaredApi`, from a file in the same folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from tap_exports.errors import ConfigError
from tap_exports.providers.declared.api import DeclaredApi
from tap_exports.providers.declared.declaration import Declaration

CLASS = "Api"


def api_class(declaration: Declaration) -> type[DeclaredApi]:
    """Return the class of the verbs: `DeclaredApi`, or the class `Api` in the file that `python` names.

    Raises:
        ConfigError: There is no such file beside the declaration, it cannot be imported, or has no such class.
    """
    name = declaration.spec.get("python")
    if name is None:
        return DeclaredApi
    where = declaration.source.where(("python",))
    path = _beside(declaration, name, where)
    found = getattr(_imported(path, declaration.name, where), CLASS, None)
    if not (isinstance(found, type) and issubclass(found, DeclaredApi)):
        raise ConfigError(f"{where}: {name} has no class {CLASS} of tap_exports.providers.declared.api.DeclaredApi")
    if found.row and declaration.spec["files"].get("format") not in {"json", "jsonl"}:
        raise ConfigError(f"{where}: `row` needs files of the format json or jsonl")
    return found


def _beside(declaration: Declaration, name: str, where: str) -> Path:
    """Return the path of a file in the declaration's own folder; links that lead elsewhere are refused."""
    folder = declaration.source.folder
    if folder is None:
        raise ConfigError(f"{where}: a declaration within the configuration has no file beside it")
    path = (folder / name).resolve()
    if path.parent != folder.resolve():
        raise ConfigError(f"{where}: {name} lies outside the folder of the declaration")
    if not path.is_file():
        raise ConfigError(f"{where}: there is no {name} beside the declaration")
    return path


def _imported(path: Path, name: str, where: str) -> object:
    spec = importlib.util.spec_from_file_location(f"tap_exports_declared_{name}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{where}: {path.name} is no Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # user code may raise anything
        del sys.modules[spec.name]
        raise ConfigError(f"{where}: {path.name} cannot be imported: {type(error).__name__}: {error}") from error
    return module
