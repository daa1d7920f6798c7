"""The command `tap-exports-sandbox`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tap_exports.sandbox.box import Sandbox
from tap_exports.sandbox.declared import provider_of
from tap_exports.sandbox.options import SandboxOptions
from tap_exports.sandbox.provider import Provider
from tap_exports.sandbox.registry import PROVIDERS

SHIPPED = Path(__file__).resolve().parents[1] / "providers" / "declared" / "shipped"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; print one JSON line when ready.

    Args:
        arguments: of the command line, without the program's name; None for those of the process.

    Returns:
        The exit code: 0 after a signal, 2 for bad options.
    """
    parser = command_line()
    given = parser.parse_args(arguments)
    try:
        box = Sandbox(_options(given), faults=_plan(given.faults), providers=_providers(given.declaration))
        if unknown := sorted(set(given.providers) - set(box.provider_names)):
            parser.error(f"argument --providers: invalid choice: '{unknown[0]}'")
        box.start()
    except (OSError, TypeError, ValueError) as error:
        parser.error(str(error))
    try:
        _serve(box, given)
    finally:
        box.stop()
    return 0


def _serve(box: Sandbox, given: argparse.Namespace) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if given.write_config:
        config = box.config(*given.providers)
        given.write_config.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    names = box.provider_names
    ready = {
        "api_urls": {name: box.api_url(name) for name in names},
        "control_url": box.url,
        "files_url": box.files_url,
        "keys": {name: box.key(name) for name in names},
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    stop.wait()


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the command's options."""
    parser = argparse.ArgumentParser(prog="tap-exports-sandbox", description="Serve the export APIs on loopback.")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port of the API origin (default: any free one)")
    parser.add_argument(
        "--files-port", type=int, default=0, metavar="PORT", help="port of the files origin (default: any free one)"
    )
    parser.add_argument("--faults", type=Path, metavar="FILE", help="YAML file with a fault plan")
    parser.add_argument(
        "--job-seconds",
        type=float,
        default=0.2,
        metavar="SECONDS",
        help="from a job's creation to its end (default: %(default)s)",
    )
    parser.add_argument("--job-polls", type=int, metavar="N", help="end jobs with the N-th status read instead")
    parser.add_argument(
        "--url-seconds", type=float, default=900, metavar="SECONDS", help="life of a signed URL (default: %(default)s)"
    )
    parser.add_argument(
        "--rows", type=int, default=0, metavar="N", help="rows to generate for load tests (default: %(default)s)"
    )
    parser.add_argument(
        "--knob", action="append", default=[], metavar="PROVIDER.NAME=VALUE", help="set a knob; may be repeated"
    )
    parser.add_argument(
        "--declaration",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="serve the API that a declaration describes, a file or the name of a shipped one, and no built-in "
        "provider; may be repeated",
    )
    _add_configuration(parser)
    return parser


def _add_configuration(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--account",
        action="append",
        default=[],
        metavar="NAME",
        help="accept the key of an account, the provider's key with -NAME behind it, too; may be repeated",
    )
    parser.add_argument("--write-config", type=Path, metavar="FILE", help="write a ready configuration of the tap")
    parser.add_argument(
        "--providers",
        nargs="+",
        default=[],
        metavar="NAME",
        help="providers in that configuration (default: all)",
    )


def _providers(declarations: Sequence[Path]) -> Sequence[type[Provider]]:
    return [_declared(path) for path in declarations] or PROVIDERS


def _declared(path: Path) -> type[Provider]:
    """Return the provider of a declaration: a file, or the name of a shipped one.

    Raises:
        ValueError: It is no whole declaration.
    """
    shipped = SHIPPED / f"{path.name}.yaml"
    found = shipped if path == Path(path.name) and not path.suffix and not path.exists() and shipped.exists() else path
    try:
        return provider_of(yaml.safe_load(found.read_text(encoding="utf-8")), found.resolve())
    except (yaml.YAMLError, LookupError, AttributeError, TypeError, StopIteration) as error:
        words = f"no whole declaration ({type(error).__name__}): `tap-exports check {found}` names its errors"
        raise ValueError(f"{found}: {words}") from error


def _options(given: argparse.Namespace) -> SandboxOptions:
    return SandboxOptions(
        host=given.host,
        port=given.port,
        files_port=given.files_port,
        job_seconds=given.job_seconds,
        job_polls=given.job_polls,
        url_seconds=given.url_seconds,
        rows=given.rows,
        accounts=tuple(given.account),
        knobs=_knobs(given.knob),
    )


def _knobs(texts: list[str]) -> dict[str, dict[str, Any]]:
    knobs: dict[str, dict[str, Any]] = defaultdict(dict)
    for text in texts:
        name, _, value = text.partition("=")
        provider, _, knob = name.partition(".")
        knobs[provider][knob] = yaml.safe_load(value)
    return dict(knobs)


def _plan(path: Path | None) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path else None


if __name__ == "__main__":
    sys.exit(main())
