"""The files of a completed job of a declared API: at URLs that it names, or behind the API itself, one or many."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from tap_exports.engine.decode import source
from tap_exports.engine.http import fields
from tap_exports.engine.http.transport import Answer
from tap_exports.engine.jobs.statuses import still_completed
from tap_exports.engine.model import Job, LocalFile, RemoteFile
from tap_exports.errors import BadContentError, LimitError
from tap_exports.providers.declared.declaration import verb_of
from tap_exports.providers.declared.declaration.paths import HEADER, pick
from tap_exports.providers.declared.declaration.templates import Values
from tap_exports.providers.declared.exchange.calls import Calls, headers_of
from tap_exports.providers.declared.exchange.replies import RECORD, Replies

LOOKS = 3  # until a completed job has no file: replicas may lag
MOST_PAGES = 10_000
MOST_PAGE_BYTES = 64 * 1024 * 1024  # of a page whose body names the next one
NEXT = "next"  # the hole of calls that are repeated for each page
CIRCLE = f"a page names one that came before, or there are more than {MOST_PAGES}"


class Files:
    """Lists the files of jobs.

    Args:
        calls: Sends the calls.
        replies: Knows jobs' digests.
    """

    def __init__(self, calls: Calls, replies: Replies) -> None:
        """Keep the parts."""
        self._calls, self._replies = calls, replies
        self._spec: Mapping[str, Any] = calls.declaration.spec["files"]
        self._poll: Mapping[str, Any] = calls.declaration.spec["poll"]
        self._tells_status = verb_of(self._spec) == verb_of(self._poll)
        self._chains: dict[str, Chain] = {}

    @property
    def suffix(self) -> str:
        """Return the files' format as the declaration names it, which ends their names."""
        return str(self._spec.get("format", "csv"))

    @property
    def format(self) -> str:
        """Return the files' format as decoders know it."""
        return {"tsv": "csv"}.get(self.suffix, self.suffix)

    def of(self, job: Job, look: Callable[[Job], Job]) -> Sequence[RemoteFile]:
        """Return the files of a completed job.

        Args:
            job: The job.
            look: Polls it, for fresh URLs.

        Raises:
            NotReadyError: It is shown as not completed.
            BadContentError: It shows no file.
        """
        values = {**self._calls.variables, **job.data, "id": job.id}
        if "path" in self._spec:
            return self._keyed(job, values)
        if verb_of(self._spec)[0]:
            looks = (self._asked(job, values) for _ in range(LOOKS))
            return self._named(job, next(filter(None, looks), []), values)
        seen = still_completed(job, look(job), self._calls.name)
        return self._named(seen, _urls(pick(seen.data.get(RECORD), self._spec["url"])), values)

    def note(self, url: str, answer: Answer) -> None:
        """Take what the head of a download says of the next file of its chain."""
        for chain in list(self._chains.values()):
            chain.note(url, answer)

    def follow(self, job: Job, remote: RemoteFile, local: LocalFile) -> None:
        """Take what a downloaded file says of the next one of its chain."""
        if chain := self._chains.get(job.id):
            chain.follow(remote, local)

    def _asked(self, job: Job, values: Values) -> list[str]:
        """Return the URLs that a call tells, or several, of which each names what the next one asks for.

        Raises:
            NotReadyError: It is the call that tells the status, and it tells that the job is not completed.
        """
        pages, urls, seen = self._spec.get("pages", {}), list[str](), set[str]()
        following = pages.get("first")
        while True:
            call = self._spec
            if "param" in pages and following is not None:
                call = {**call, "params": {**call.get("params", {}), pages["param"]: following}}
            reply = self._calls.send(call, {**values, NEXT: following})
            if self._tells_status:
                record = pick(reply.json(), self._poll.get("at"))
                still_completed(job, self._replies.job(record, headers_of(reply), {}, job.id), self._calls.name)
            urls += _urls(pick(reply.json(), self._spec["url"], headers_of(reply)))
            seen.add(str(following))
            following = pick(reply.json(), pages["next"], headers_of(reply)) if pages else None
            if following in {None, ""}:
                return urls
            if str(following) in seen or len(seen) >= MOST_PAGES:
                raise BadContentError(f"{self._calls.name}: {CIRCLE}")

    def _named(self, job: Job, urls: Sequence[str], values: Values) -> list[RemoteFile]:
        if not urls and not (self._spec.get("null_is_empty") or job.rows == 0):
            place = self._spec["url"]
            raise BadContentError(f'{self._calls.name}: job {job.id} is completed, but shows no URL at "{place}"')
        names = ["export"] if len(urls) == 1 else [f"part-{n:05d}" for n in range(1, len(urls) + 1)]
        digest = self._replies.digest(job) if len(urls) == 1 else None
        return [self._file(name, url, values, digest) for name, url in zip(names, urls, strict=True)]

    def _keyed(self, job: Job, values: Values) -> Sequence[RemoteFile]:
        url, query = (
            self._calls.base + self._calls.path(self._spec["path"], values),
            self._calls.query(self._spec, values),
        )
        pages = self._spec.get("pages")
        if pages is None:
            return [self._file("export", _with(url, query), values, self._replies.digest(job))]
        if "count" in pages:
            return self._counted(job, url, query, values)
        if job.id not in self._chains:

            def page(number: int, following: object) -> RemoteFile:
                more = {} if following is None else {pages["param"]: following}
                return self._file(f"page-{number:05d}", _with(url, {**query, **more}), values)

            self._chains[job.id] = Chain(page, pages)
        return self._chains[job.id]

    def _counted(self, job: Job, url: str, query: Mapping[str, Any], values: Values) -> list[RemoteFile]:
        """Return as many files as the job counts, numbered in a parameter."""
        pages = self._spec["pages"]
        told = pick(job.data.get(RECORD), pages["count"])
        count, first = len(told) if isinstance(told, list) else fields.number(told), pages.get("first", 1)
        if count is None:
            place = pages["count"]
            raise BadContentError(f'{self._calls.name}: job {job.id} is completed, but shows no files at "{place}"')
        if count > MOST_PAGES:
            raise LimitError(f"{self._calls.name}: job {job.id} has {count} files, {MOST_PAGES} are allowed")
        return [
            self._file(f"page-{n + 1:05d}", _with(url, {**query, pages["param"]: first + n}), values)
            for n in range(count)
        ]

    def _file(self, name: str, url: str, values: Values, digest: str | None = None) -> RemoteFile:
        rows = self._spec.get("rows", {})
        columns = pick(values.get(RECORD), rows["columns_at"]) if "columns_at" in rows else None
        return RemoteFile(
            f"{name}.{self.suffix}",
            url,
            self.format,
            sha256=digest,
            rows_at=rows.get("at", ""),
            columns=tuple(map(str, columns)) if isinstance(columns, list) else (),
        )


class Chain(Sequence[RemoteFile]):
    """Files of which each names the next: the sequence grows while it is read.

    Args:
        page: Returns a file by its number, from 1, and by what names it, None for the first.
        pages: The block `files.pages`.
    """

    def __init__(self, page: Callable[[int, object], RemoteFile], pages: Mapping[str, Any]) -> None:
        """Begin with the first file."""
        self._page, self._next = page, str(pages["next"])
        self._files, self._seen = [page(1, pages.get("first"))], set[str]()

    def note(self, url: str, answer: Answer) -> None:
        """Take the name of the next file from the head of the reply to the last known one."""
        if answer.status == 200 and self._files[-1].url == url and self._next.startswith(HEADER):  # noqa: PLR2004 - a status is clearest as its number
            self._add(answer.headers.get(self._next.removeprefix(HEADER)))

    def follow(self, remote: RemoteFile, local: LocalFile) -> None:
        """Take the name of the next file from the body of the last known one.

        Raises:
            BadContentError: It is no JSON.
            LimitError: It is larger than `MOST_PAGE_BYTES`.
        """
        if self._files[-1].name != remote.name or self._next.startswith(HEADER):
            return
        text, is_whole = source.head(local, MOST_PAGE_BYTES)
        if not is_whole:
            raise LimitError(f"{remote.name}: a page that names the next one in its body exceeds 64 MiB")
        try:
            self._add(pick(json.loads(text), self._next))
        except (ValueError, RecursionError):
            raise BadContentError(f"{remote.name}: no JSON, so that nothing names the next page") from None

    def _add(self, following: object) -> None:
        """Add the file of a name; none, an empty one and `null` end the chain.

        Raises:
            BadContentError: It does not end.
        """
        name = str(following)
        if following is None or name in {"", "null"}:
            return
        if name in self._seen or len(self._files) >= MOST_PAGES:
            raise BadContentError(f"{self._files[-1].name}: {CIRCLE}")
        self._seen.add(name)
        self._files.append(self._page(len(self._files) + 1, following))

    def __len__(self) -> int:
        """Return how many files are known."""
        return len(self._files)

    def __iter__(self) -> Iterator[RemoteFile]:
        """Yield the files, those that are found meanwhile included."""
        number = 0
        while number < len(self._files):
            yield self._files[number]
            number += 1

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - as of every sequence
        """Return a file, or several."""
        return self._files[index]


def _urls(found: object) -> list[str]:
    return [str(url) for url in (found if isinstance(found, list) else [found]) if url]


def _with(url: str, query: Mapping[str, Any]) -> str:
    text = urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)
    return f"{url}?{text}" if text else url
