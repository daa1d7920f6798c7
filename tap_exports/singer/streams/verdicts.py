"""The verdict of `--test` on each provider: a free request per stream, and no message of Singer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tap_exports.engine.model.accounts import with_account
from tap_exports.singer.streams.stream import EventStream


def verdicts(streams: Iterable[EventStream], fail: Callable[[str, Exception], object]) -> Iterator[str]:
    """Yield one line per provider once all of its streams were asked for.

    Args:
        streams: The streams.
        fail: Logs and records the error of a stream.
    """
    owned: dict[str, list[EventStream]] = {}
    for stream in streams:
        owned.setdefault(with_account(stream.provider_name, stream.account), []).append(stream)
    for provider, asked in owned.items():
        failed = [stream.name for stream in asked if not _answers(stream, fail)]
        broken = f"{len(failed)} of {len(asked)} streams failed: {', '.join(failed)}"
        is_asked = any(stream.has_free_call for stream in asked)
        well = f"ok, {len(asked)} streams" if is_asked else "not asked: no call of it is free, so its key is not tried"
        yield f"{provider}: {broken if failed else well}"


def _answers(stream: EventStream, fail: Callable[[str, Exception], object]) -> bool:
    error = stream.discovery_error
    try:
        if not error:
            stream.check_connection()
    except Exception as caught:  # noqa: BLE001 - whatever it is, the other streams are asked for
        error = caught
    if error:
        fail(stream.name, error)
    return not error
