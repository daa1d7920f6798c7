"""The format of declarations as a JSON Schema: what the check holds a file against, and what editors complete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

MEANINGS = ("pending", "running", "completed", "empty", "failed", "cancelled", "timed_out")
METHODS = ("get", "post", "put", "patch", "delete")
FORMATS = ("csv", "tsv", "json", "jsonl")


def _object(properties: Mapping[str, Schema], about: str, required: tuple[str, ...] = ()) -> Schema:
    extra = {"required": list(required)} if required else {}
    return {
        "type": "object",
        "description": about,
        "properties": dict(properties),
        "additionalProperties": False,
    } | extra


def _map(values: Schema, about: str) -> Schema:
    return {"type": "object", "description": about, "additionalProperties": values}


def _list(items: Schema, about: str) -> Schema:
    return {"type": "array", "description": about, "items": items}


def _text(about: str, **more: Any) -> Schema:  # noqa: ANN401 - keywords of JSON Schema
    return {"type": "string", "minLength": 1, "description": about, **more}


def _word(values: tuple[str, ...], about: str) -> Schema:
    return {"enum": list(values), "description": about}


def _count(about: str, least: int = 0) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": 1_000_000_000, "description": about}


def _path(about: str) -> Schema:
    rule = "JMESPath of fields, indices and lists, or `header:Name`; `header::status` is the HTTP status"
    return _text(f"{about}: {rule}", maxLength=500)


NAME = r"^[A-Za-z_]\w*$"
PYTHON = r"^[A-Za-z_][A-Za-z0-9_]*\.py$"
KEYS = r"^[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*){0,2}$"
KEPT = r"^[1-9]\d{0,4} (minute|hour|day|week)s?$"
PATH = "^/(?!/)"  # not the host of another URL
PATH_TEMPLATE = "Path below base_url, with holes"
VALUE = _map({}, "Values with holes")
HEADERS = _map({"type": "string"}, "Headers with holes")

CALL: Mapping[str, Schema] = {
    **{method: _text(PATH_TEMPLATE, pattern=PATH) for method in METHODS},
    "params": _map({}, "Query with holes"),
    "json": {"type": ["object", "array", "string"], "description": "JSON body with holes"},
    "form": _map({}, "Form body with holes"),
    "headers": HEADERS,
}
AT = {"at": _text("Where the job stands in the reply; default: the reply itself")}

REFUSAL = _object(
    {
        "matches": _text("Regular expression over `status code message`", maxLength=200),
        "means": _word(("same", "busy", "quota", "empty", "too_large"), "What the refusal means"),
        "wait": {"type": "number", "exclusiveMinimum": 0, "maximum": 86_400, "description": "Seconds to wait if busy"},
        "at_most": _count("How many jobs may run at once there", 1),
        "sample": _text("Such a message, for the sandbox"),
    },
    "A refusal that is no failure; `same` names the existing job in the group `id`",
    ("matches", "means"),
)

OAUTH2 = _object(
    {
        "token_url": _text("https URL of the token endpoint, with holes", pattern="^https://"),
        "grant": _word(("client_credentials", "refresh_token", "jwt_bearer"), "Grant"),
        "client_id": _text("With holes"),
        "client_secret": _text("With holes"),
        "refresh_token": _text("With holes, for that grant"),
        "private_key": _text("PEM with holes, for `jwt_bearer`: signs the assertion"),
        "algorithm": _word(("RS256", "RS384", "RS512", "ES256", "ES384"), "Of that signature; default: RS256"),
        "key_id": _text("Header `kid` of the assertion, with holes"),
        "subject": _text("Claim `sub` of the assertion, with holes; default: `client_id`"),
        "audience": _text("Claim `aud` of the assertion, with holes; default: `token_url`"),
        "assertion": _word(
            ("grant", "client"),
            "What it stands for (RFC 7523): the grant, the default, or the client",
        ),
        "scope": _text("Scopes, separated by blanks"),
        "params": _map({"type": "string"}, "More fields of the token request, with holes"),
    },
    "A token, requested from `token_url` and renewed before its end and once after a 401; fills `{token}`",
    ("token_url", "grant"),
)

CURSOR = _object(
    {"next": _path("What names the next page"), "param": _text("Parameter that takes it")},
    "Pages of which each names the next",
    ("next", "param"),
)

FORMAT: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Declaration of an export API for tap-exports",
    **_object(
        {
            "name": _text("Names the streams, `<name>_export_<entry>`", pattern="^[a-z][a-z0-9_]*$"),
            "docs": _text("The page of the vendor's documents"),
            "seen": {"type": "string", "format": "date", "description": "The day when it was read"},
            "base_url": _text("Origin and prefix of the API, with holes", pattern="^https?://"),
            "auth": _object(
                {
                    "headers": HEADERS,
                    "query": _map({"type": "string"}, "Parameters of every query, with holes"),
                    "basic": _object(
                        {"user": {"type": "string"}, "password": {"type": "string"}},
                        "HTTP Basic, with holes",
                        ("user",),
                    ),
                    "body": _map({"type": "string"}, "Fields of every JSON body, with holes"),
                    "oauth2": OAUTH2,
                },
                "Credentials of every request to the API's own origin",
            ),
            "submit": _object(
                {**CALL, **AT, "refusals": _list(REFUSAL, "Refusals that are no failures")}, "Creates the job"
            ),
            "then": _list(_object(CALL, "A call"), "Calls after `submit`, such as one that enqueues the job"),
            "job": _object(
                {
                    "id": _path("The job's id"),
                    "status": _path("Its status word"),
                    "created": _path("When it was created"),
                    "rows": _path("Its number of rows"),
                    "progress": _list(_path("What changes while it proceeds"), "What changes while it proceeds"),
                    "reason": _path("Why it failed"),
                    "poll_after": _path("Seconds until the next poll"),
                    "also": _map(_path("A value"), "More values of the job, for holes"),
                },
                "Where the fields of a job stand",
                ("id",),
            ),
            "status": _map(_word(MEANINGS, "What the word means"), "Status words, compared without case"),
            "poll": _object({**CALL, **AT, "list": {"const": True, "description": "Poll by `list`"}}, "Shows a job"),
            "files": _object(
                {
                    **CALL,
                    "url": _path("One or several URLs"),
                    "path": _text("A file behind the API itself, read with the key", pattern=PATH),
                    "keyed": {"type": "boolean", "description": "URLs of the API's own origin are read with the key"},
                    "pages": _object(
                        {
                            "next": _path("What names the next page: of the reply, or of the file"),
                            "param": _text("Parameter that takes it; else the hole `{next}` of a call does"),
                            "first": {"type": ["integer", "string"], "description": "What names the first page"},
                            "count": _path(
                                "In the job, the number of pages or a list of as many, numbered from `first`"
                            ),
                        },
                        "A chain of files, each naming the next; or several, numbered",
                    ),
                    "rows": _object(
                        {
                            "at": _text("Keys of the list of rows in a JSON file", pattern=KEYS),
                            "columns_at": _path("In the job, the column names where rows are arrays"),
                        },
                        "Where the rows stand in a JSON file, and how they are named",
                    ),
                    "format": _word(FORMATS, "Of the files; gzip and zip are recognised"),
                    "csv": _map({}, "How CSV is written, as the setting `csv`"),
                    "instants": _list(_text("A column"), "Columns that hold seconds since 1970, written as date-times"),
                    "null_is_empty": {"type": "boolean", "description": "No URL means no rows"},
                    "not_ready": _list(_count("Status"), "Statuses that mean: not completed yet"),
                },
                "The files of a completed job",
            ),
            "list": _object(
                {
                    **CALL,
                    "items": _path("The jobs"),
                    "first_page": _count("Number of the first page; default: 1"),
                    "pages": CURSOR,
                    "total": _path("The number of jobs in the whole list"),
                    "more": _path("Whether further pages follow"),
                    "size": {"type": ["integer", "string"], "description": "Jobs of a full page: a number, or a path"},
                },
                "Pages of jobs, numbered by the hole `{page}` or named by `pages`; else there is one",
                ("items",),
            ),
            "find": _map({}, "Fields of a job in `list` that echo its request, with holes"),
            "lost_reply": _word(("find", "repeat", "stop"), "What to do when the creation got no reply"),
            "errors_at": _list(_path("Errors"), "Errors within a reply of status 200"),
            "delete": _object(CALL, "Removes a job"),
            "window": _object(
                {
                    "key": _text("What the windows cut by; names the bookmark"),
                    "days": {
                        "type": "number",
                        "minimum": 0.001,
                        "maximum": 36_500,
                        "description": "Longest window",
                    },
                    "by": _word(("ms", "second", "day"), "Whole units of a window; default: ms"),
                    "lookback": {
                        "type": "number",
                        "minimum": 0,
                        "maximum": 36_500,
                        "description": "Days before the bookmark that are requested again; the entry's goes before it",
                    },
                    "bounds": _word(("inclusive", "half_open"), "Of the API's own filter, for the reader"),
                    "late": _text("What is known of rows that appear late"),
                },
                "Windows of creation instants; without it exports are full",
                ("key",),
            ),
            "each": _object(
                {
                    "of": _text("Name in `params` of the list", pattern=NAME),
                    "as": _text("The hole that an item fills", pattern=NAME),
                    "most": {"type": "integer", "minimum": 1, "maximum": 1000, "description": "Items; default: 1000"},
                },
                "One job per item of a list; each is a stream, `<name>_export_<entry>_<item>`",
                ("of", "as"),
            ),
            "python": _text("File beside the declaration with a class `Api` that overrides verbs", pattern=PYTHON),
            "proof": _object(
                {
                    "rows": _path("Count of rows"),
                    "sha256": _path("SHA-256 of the file, as hex digits"),
                    "truncated": _path("Whether rows were left out"),
                },
                "What the provider gives to prove that a file is whole",
            ),
            "limits": _object(
                {
                    "jobs": _count("Jobs at once", 1),
                    "per_minute": _count("Requests a minute", 1),
                    "keep": _text("How long jobs are kept, such as `7 days`", pattern=KEPT),
                },
                "Limits of the provider",
            ),
            "example": _object({"params": VALUE, "name": _text("Name")}, "An entry, for documents and `prove`"),
        },
        "How an export API is spoken to",
        ("name", "base_url", "submit", "job", "status", "poll", "files"),
    ),
}
