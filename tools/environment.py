"""Make an environment from pins.

    python3 tools/environment.py [--installer auto|uv|pip] [--add] [--editable DIR] [--wheel FILE] VENV PINS

Nothing is resolved: exactly the pins are installed, wheels only, each against its hash, and then everything installed
is checked to fit together. So a set-up that worked once is the same on any later day, with any installer: pip before
24 takes a requirement with an extra for one without a pin, and looks for its newest release.

The environment is one of the interpreter that runs this file, Python 3.10 or newer; third-party modules are not needed.
uv installs where it is on PATH, from the registry that pip is configured for, and pip where uv is missing or fails.
To force one, use `--installer` or the variable INSTALLER.
"""

from __future__ import annotations

import argparse
import configparser
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

VARIABLE = "INSTALLER"
INSTALLERS = ("auto", "uv", "pip")
PINNED = ("--no-deps", "--require-hashes", "--only-binary", ":all:")
# What pip and uv call the same thing. Both take the files that the hashes name, whichever index has them.
SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
}
SECTIONS = ("global", "install")


class InstallError(Exception):
    """An environment cannot be made; the message says what failed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make an environment; return 0, or 1 after telling what failed."""
    asked = _parser().parse_args(arguments)
    try:
        make(asked)
    except (InstallError, OSError) as error:
        print(f"{Path(__file__).name}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    given = os.environ.get(VARIABLE) or "auto"
    parser.add_argument("--installer", choices=INSTALLERS, default=given, help=f"default: ${VARIABLE}, or auto")
    parser.add_argument("--without-pip", action="store_true", help="leave pip out unless it has to install")
    parser.add_argument("--add", action="store_true", help="add to an environment that is there")
    parser.add_argument("--editable", type=Path, metavar="DIR", help="this project too, built with what the pins hold")
    parser.add_argument("--wheel", type=Path, metavar="FILE", help="this wheel too, without its requirements")
    parser.add_argument("venv", type=Path)
    parser.add_argument("pins", type=Path)
    return parser


def make(asked: argparse.Namespace) -> None:
    """Make an environment with the first installer that can.

    Raises:
        InstallError: None can, or what was installed does not fit together.
    """
    if asked.installer not in INSTALLERS:
        msg = f"${VARIABLE} is {asked.installer!r}, not one of {', '.join(INSTALLERS)}"
        raise InstallError(msg)
    if asked.installer != "pip":
        if _with_uv(asked):
            return
        if asked.installer == "uv":
            msg = f"uv cannot install {asked.pins}"
            raise InstallError(msg)
    _with_pip(asked)


def _with_uv(asked: argparse.Namespace) -> bool:
    """Return whether uv installed everything; if not, say why in one line."""
    uv = shutil.which("uv")
    if not uv:
        return False
    if not asked.add:
        _create(asked.venv, with_pip=not asked.without_pip)
    env = {**os.environ, **uv_settings(pip_settings(os.environ), os.environ)}
    target = ("--python", str(_python(asked.venv)))
    for words in _installations(asked):
        done = subprocess.run(
            [uv, "pip", "install", "--quiet", "--compile-bytecode", *target, *words],
            check=False,
            env=env,
            stderr=subprocess.PIPE,
        )
        if done.returncode:
            print(f"uv cannot install {asked.pins}: {_reason(done.stderr)}", file=sys.stderr)
            return False
    _check([uv, "pip", "check", *target], asked, env)
    return True


def _reason(stderr: bytes) -> str:
    """Return what uv says as one line."""
    return " ".join(stderr.decode(errors="replace").split()).removeprefix("error: ") or "it says nothing"


def _with_pip(asked: argparse.Namespace) -> None:
    if asked.add:
        _run([_python(asked.venv), "-m", "ensurepip"])
    else:
        _create(asked.venv, with_pip=True)
    pip = (_python(asked.venv), "-m", "pip", "--disable-pip-version-check")
    for words in _installations(asked):
        _run([*pip, "install", "--quiet", *words])
    _check([*pip, "check"], asked)


def _create(home: Path, *, with_pip: bool) -> None:
    venv.create(home, clear=True, symlinks=os.name != "nt", with_pip=with_pip)


def _python(home: Path) -> Path:
    return home / "bin" / "python"


def _installations(asked: argparse.Namespace) -> Iterator[list[str]]:
    """Yield the arguments of each installation; pip and uv share them."""
    yield [*PINNED, "--requirement", str(asked.pins)]
    if asked.wheel:
        yield ["--no-deps", "--force-reinstall", str(asked.wheel)]
    if asked.editable:
        yield ["--no-deps", "--no-build-isolation", "--editable", str(asked.editable)]


def _check(command: Sequence[str | Path], asked: argparse.Namespace, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, check=False, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        msg = f"what {asked.pins} pins does not fit together:\n{done.stdout.decode(errors='replace').strip()}"
        raise InstallError(msg)


def _run(command: Sequence[str | Path]) -> None:
    code = subprocess.run(command, check=False).returncode
    if code:
        msg = f"exit code {code}: {' '.join(map(str, command))}"
        raise InstallError(msg)


def pip_settings(env: Mapping[str, str]) -> dict[str, str]:
    """Return what pip is configured with, by option, without asking it: the interpreter may have none.

    A variable wins over a file, a later file over an earlier one, and the section `install` over `global`.
    """
    parser = configparser.RawConfigParser(strict=False)
    parser.read(pip_files(env), encoding="utf-8")
    sections = [parser.items(name) for name in SECTIONS if parser.has_section(name)]
    variables = [(name[4:], value) for name, value in env.items() if name.startswith("PIP_")]
    return {name.lower().replace("_", "-"): value for each in (*sections, variables) for name, value in each}


def pip_files(env: Mapping[str, str]) -> list[Path]:
    """Return where pip looks for its settings, in rising order; a file that a variable names replaces the user's."""
    given = env.get("PIP_CONFIG_FILE", "")
    if given == os.devnull:
        return []
    named = [Path(given)] if given and Path(given).exists() else []
    home = Path(env.get("HOME") or Path.home())
    machine = [Path(each, "pip") for each in (env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)]
    user = [home / ".pip", Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "pip"]
    if sys.platform == "darwin":
        machine.append(Path("/Library/Application Support/pip"))
        user.append(home / "Library" / "Application Support" / "pip")
    folders = (*machine, Path("/etc"), *([] if named else user), Path(sys.prefix))
    return [*(folder / "pip.conf" for folder in folders), *named]


def uv_settings(settings: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that tell uv what pip is configured with; those that `env` sets stay as they are."""
    made = {
        variable: separator.join(settings[option].split())
        for option, (variable, separator) in SETTINGS.items()
        if settings.get(option) and variable not in env
    }
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **made} if made else {}


if __name__ == "__main__":
    sys.exit(main())
