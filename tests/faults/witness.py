"""A sandbox that remembers each secret that it hands out, and runs of the tap that are searched for them afterwards.

Every run of these tests logs at DEBUG, and everything that it leaves behind is searched: so each fault that is tried
for what it does to the rows is tried for what it lets out as well.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.tap.harness import Json, Ran, only, tap

SIGNED = ("token", "X-Amz-Signature", "X-Amz-Credential")
QUICK: Json = {
    "max_attempts": 3,
    "request_timeout_seconds": 10,
    "lost_reply_search_seconds": 1,
    "job_grace_seconds": 0,
    "poll_interval_seconds": 0.2,
    "poll_interval_max_seconds": 1,
    "progress": "never",
}
UNTIL = "2026-01-01T00:00:00Z"
STREAMS = {
    "cension": "cension_export_companies",
    "exelensia": "exelensia_export_companies",
    "packagex": "packagex_export_shipments",
    "cornect": "cornect_export_software",
    "closient": "closient_export_records",
}
FILE_PROVIDERS = ("exelensia", "packagex", "cornect", "closient")


@dataclass
class Witness:
    """A running sandbox and all that must never leave the tap.

    Attributes:
        box: The sandbox.
        queries: The query strings of all URLs that it signed.
    """

    box: Sandbox
    queries: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, faults: Mapping[str, Any] | None = None, **options: Any) -> Witness:  # noqa: ANN401 - of SandboxOptions
        """Start a sandbox and listen to its signer."""
        watched = cls(Sandbox(SandboxOptions(**{"job_seconds": 0, **options}), faults=faults))
        signer = watched.box._files._signer
        sign = signer.query

        def remembering(path: str, style: str) -> Any:  # noqa: ANN401 - what the signer returns
            signed = sign(path, style)
            watched.queries.append(signed[0])
            return signed

        signer.query = remembering  # type: ignore[method-assign] # it listens, and changes nothing
        watched.box.start()
        return watched

    @property
    def secrets(self) -> set[str]:
        """Return the keys, and the query strings, signatures and credentials of all signed URLs."""
        pairs = [pair for query in self.queries for pair in parse_qsl(query)]
        keys = {self.box.key(name) for name in self.box.provider_names}
        return keys | set(self.queries) | {value for name, value in pairs if name in SIGNED}

    def leaked(self, text: str, further: Iterable[str] = ()) -> list[str]:
        """Return the secrets that stand in a text, in whatever form."""
        return [secret for secret in {*self.secrets, *further} if any(form in text for form in set(forms(secret)))]

    def config(self, provider: str = "exelensia", **changes: Any) -> Json:  # noqa: ANN401 - any setting
        """Return a configuration of one export of a provider, with one window that is the same in every run."""
        whole = {**only(self.box.config(), provider), **QUICK, "end_date": UNTIL, **changes}
        block = whole[provider]
        block |= (
            {"exports": [e for e in block.get("exports", ()) if _wanted(provider, e)]} if "exports" in block else {}
        )
        if provider == "exelensia":
            block["exports"][0]["max_window_days"] = 10000
        return whole

    def run(self, folder: Path, config: Json, *arguments: str, **given: Any) -> Ran:  # noqa: ANN401 - of `tap`
        """Run the tap at DEBUG and search what it wrote; a file origin that was sent a key fails as well."""
        ran = tap(folder, config, *arguments, environment={"LOGLEVEL": "DEBUG"}, **given)
        self.search(ran.stderr, *(line.decode() for line in ran.lines))
        return ran

    def search(self, *texts: str) -> None:
        """Hold texts against all secrets, and the requests against the origin that they went to."""
        assert self.leaked("\n".join(texts)) == []
        assert [r for r in self.box.requests() if r["origin"] == "files" and r["auth"]] == []

    def posts(self) -> int:
        """Return how many jobs were asked for."""
        return sum(
            r["method"] == "POST" and not r["path"].endswith(("/search", "/download")) for r in self.box.requests()
        )


def _wanted(provider: str, entry: Json) -> bool:
    return STREAMS[provider].endswith(str(entry.get("name")))


def at_files(action: Json, **match: Any) -> Json:  # noqa: ANN401 - parts of a match
    """Return a plan of one fault at the files origin."""
    return {"faults": [{"match": {"origin": "files", **match}, "action": action}]}


def forms(secret: str) -> Iterator[str]:
    """Yield the forms that a secret may be hidden in: plain, percent-encoded once and twice, any base64."""
    yield secret
    for encode in (quote, quote_plus):
        once = encode(secret, safe="")
        yield from (once, encode(once, safe=""), once.replace("%3D", "%3d").replace("%26", "%26").lower())
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret.encode()).decode()
        middle = whole[4 if before else 0 : len(whole) // 4 * 4 - 4]
        yield from (middle, middle.replace("+", "-").replace("/", "_"), quote(middle, safe=""))


def rows_of(ran: Ran, stream: str) -> list[Json]:
    """Return the records of a stream without what differs from run to run."""
    return [{k: v for k, v in r.items() if k not in {"_sdc_job_id", "job_id"}} for r in ran.records[stream]]


def bookmark(ran: Ran, stream: str) -> Json:
    """Return what the last STATE of a run says of a stream."""
    return dict(ran.states[-1]["bookmarks"].get(stream, {})) if ran.states else {}
