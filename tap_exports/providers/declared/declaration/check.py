"""A declaration, checked: everything that can be wrong with it is said before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from tap_exports.engine.model import Status
from tap_exports.errors import ConfigError
from tap_exports.providers.declared.declaration import paths
from tap_exports.providers.declared.declaration.bounds import unbounded
from tap_exports.providers.declared.declaration.format import FORMAT, METHODS
from tap_exports.providers.declared.declaration.patterns import may_never_end
from tap_exports.providers.declared.declaration.source import MOST_LEVELS, Place, Source
from tap_exports.providers.declared.declaration.templates import FORMS, TEXT_FORMS, holes
from tap_exports.providers.declared.declaration.words import described, mistakes, nearest

EMPTY = "empty"
WINDOW_HOLES = frozenset({"start", "end", "until"})
MOST_ERRORS = 20
_FILES = ("url", "path")
_PATHS: Sequence[Place] = (
    ("submit", "at"),
    ("poll", "at"),
    ("job", "*"),
    ("job", "progress", "*"),
    ("job", "also", "*"),
    ("files", "url"),
    ("files", "pages", "next"),
    ("files", "pages", "count"),
    ("files", "rows", "columns_at"),
    ("list", "items"),
    ("list", "pages", "next"),
    ("list", "total"),
    ("list", "more"),
    ("list", "size"),
    ("errors_at", "*"),
    ("proof", "*"),
)
_TEMPLATES = ("base_url", "auth", "submit", "then", "poll", "files", "list", "find", "delete")
_NOT_TEMPLATES = frozenset(
    {"at", "items", "url", "refusals", "csv", "pages", "rows", "instants", "total", "more", "size"}
)


@dataclass(frozen=True)
class Declaration:
    """How an export API is spoken to; make it with `checked`.

    Attributes:
        source: What was written.
    """

    source: Source

    @property
    def name(self) -> str:
        """Return the declaration's name."""
        return str(self.spec["name"])

    @property
    def spec(self) -> Mapping[str, Any]:
        """Return the content."""
        return self.source.content

    @cached_property
    def statuses(self) -> dict[str, Status]:
        """Return what the status words mean; `empty` is a completed job without rows."""
        meant: Mapping[str, str] = self.spec["status"]
        return {word: Status.COMPLETED if m == EMPTY else Status(m) for word, m in meant.items()}

    @cached_property
    def empty_words(self) -> frozenset[str]:
        """Return the status words of jobs that ended without rows, in lower case."""
        return frozenset(word.casefold() for word, meaning in self.spec["status"].items() if meaning == EMPTY)

    @property
    def is_windowed(self) -> bool:
        """Return whether exports cover windows."""
        return "window" in self.spec

    @property
    def keeps(self) -> timedelta | None:
        """Return how long the provider keeps jobs, None where the declaration does not say so."""
        number, _, unit = str(self.spec.get("limits", {}).get("keep", "")).partition(" ")
        return timedelta(**{unit.removesuffix("s") + "s": int(number)}) if unit else None

    @property
    def pages_jobs(self) -> bool:
        """Return whether the list of jobs has pages."""
        return any(name == "page" for name, _ in holes(self.spec.get("list", {})))


def checked(source: Source) -> Declaration:
    """Return the declaration.

    Raises:
        ConfigError: It has errors; one line each, with file and line.
    """
    if is_deep(source.content):
        raise ConfigError(f"{source.name}: more than {MOST_LEVELS} levels of mappings and lists")
    errors = list(dict.fromkeys(_errors(source)))
    if errors:
        more = [f"{source.name}: {len(errors) - MOST_ERRORS} more errors"] if len(errors) > MOST_ERRORS else []
        raise ConfigError("\n".join(errors[:MOST_ERRORS] + more))
    return Declaration(source)


def verb_of(call: Mapping[str, Any]) -> tuple[str, str]:
    """Return method and path of a call, or empty texts."""
    return next(((method, str(call[method])) for method in METHODS if method in call), ("", ""))


def _errors(source: Source) -> Iterator[str]:
    shape = list(_shape(source))
    yield from shape
    if not shape:  # the rest trusts the shape
        yield from _verbs(source)
        yield from _paths(source)
        yield from _holes(source)
        yield from _mistaken(source)
        yield from _patterns(source)
        yield from _more(source)


def _shape(source: Source) -> Iterator[str]:
    validator = Draft202012Validator(FORMAT, format_checker=FormatChecker(["date"]))
    found = [words for error in validator.iter_errors(source.content) for words in described(error)]
    for place, words in sorted(found, key=lambda each: source.line(each[0]) or len(source.lines)):
        yield f"{source.where(place)}: {words}"


def _verbs(source: Source) -> Iterator[str]:
    """Yield what is missing or contradicts: each call has one method, files one way, a find its list."""
    spec = source.content
    calls: list[tuple[Place, Mapping[str, Any]]] = [
        ((key,), spec[key]) for key in ("submit", "list", "delete") if key in spec
    ]
    calls += [(("then", n), call) for n, call in enumerate(spec.get("then", ()))]
    if "list" not in spec["poll"]:
        calls.append((("poll",), spec["poll"]))
    for place, call in calls:
        if len(named := [method for method in METHODS if method in call]) != 1:
            yield f"{source.where(place)}: one of {', '.join(METHODS)} is due{_got(named)}"
    yield from _lists(source)
    if len(ways := [way for way in _FILES if way in spec["files"]]) != 1:
        yield f"{source.where(('files',))}: one of url, path is due{_got(ways)}"
    if "pages" in spec["files"] and "path" not in spec["files"] and not verb_of(spec["files"])[0]:
        yield f"{source.where(('files', 'pages'))}: needs files.path, or a call"
    if not any(status is Status.COMPLETED for status in Declaration(source).statuses.values()):
        yield f"{source.where(('status',))}: no word means completed"
    if "status" not in spec["job"]:
        yield f'{source.where(("job",))}: the key "status" is missing'


def _got(names: Sequence[str]) -> str:
    return f", got {' and '.join(names)}" if names else ""


def _lists(source: Source) -> Iterator[str]:
    spec = source.content
    if "list" in spec["poll"] and "list" not in spec:
        yield f"{source.where(('poll', 'list'))}: needs `list`"
    if "find" in spec and "list" not in spec:
        yield f"{source.where(('find',))}: needs `list`"
    if spec.get("lost_reply") == "find" and "find" not in spec:
        yield f"{source.where(('lost_reply',))}: needs `find`"


def _paths(source: Source) -> Iterator[str]:
    checked_paths = [found for pattern in _PATHS for found in _at(source.content, pattern, ())]
    checked_paths += [((("find", key)), key) for key in source.content.get("find", {})]
    for place, path in checked_paths:
        if isinstance(path, str):
            try:
                paths.check(path)
            except paths.PathError as error:
                hint = "; a path begins with a field, without $" if path.startswith("$") else ""
                yield f"{source.where(place)}: {error}{hint}"


def _at(value: Any, pattern: Place, place: Place) -> Iterator[tuple[Place, Any]]:  # noqa: ANN401 - JSON
    """Yield what stands at a place; `*` is every item."""
    if not pattern:
        yield place, value
        return
    items = dict(enumerate(value)) if isinstance(value, list) else value if isinstance(value, Mapping) else {}
    for key in items if pattern[0] == "*" else [pattern[0]]:
        if key in items:
            yield from _at(items[key], pattern[1:], (*place, key))


def _holes(source: Source) -> Iterator[str]:
    """Yield the forms that do not exist, and holes that only later calls can fill."""
    spec = source.content
    late = {"id", *spec["job"].get("also", {})}
    listed = {str(spec["each"]["of"])} if "each" in spec else set[str]()
    for key in _TEMPLATES:
        for place, template in _templates(spec.get(key), (key,)):
            for name, form in holes(template):
                yield from _hole(source, place, name, form, late)
                if name in listed:
                    yield f"{source.where(place)}: nobody fills {{{name}}}: `each` fills {{{spec['each']['as']}}}"
    if not Declaration(source).is_windowed:
        used = WINDOW_HOLES & {name for name, _ in holes(spec["submit"])}
        yield from (f"{source.where(('submit',))}: nobody fills {{{name}}} without `window`" for name in sorted(used))


def _mistaken(source: Source) -> Iterator[str]:
    """Yield the holes that are none: written as in other languages, or without quotes."""
    values = ((key,) for key in _TEMPLATES if key in source.content)
    everything = (found for place in values for found in _everything(source.content[place[0]], place))
    known = sorted({*WINDOW_HOLES, "id", "mark", "page", *source.content["job"].get("also", {})})
    yield from (f"{source.where(place)}: {words}" for place, words in mistakes(everything, known))


def _everything(value: object, place: Place) -> Iterator[tuple[Place, object]]:
    yield place, value
    items = dict(enumerate(value)) if isinstance(value, list) else value if isinstance(value, Mapping) else {}
    for key, inner in items.items():
        yield from _everything(inner, (*place, key))


def _hole(source: Source, place: Place, name: str, form: str | None, late: set[str]) -> Iterator[str]:
    forms = ["uuid"] if name == "mark" else [*FORMS, *(() if name in WINDOW_HOLES else TEXT_FORMS)]
    if form and form not in forms:
        yield f'{source.where(place)}: {{{name}:{form}}}: unknown form; the nearest is "{nearest(form, forms)}"'
    elif form in FORMS and name not in WINDOW_HOLES:
        near = nearest(name, sorted(WINDOW_HOLES))
        yield f"{source.where(place)}: {{{name}:{form}}}: only instants have forms; the nearest is {{{near}}}"
    if place[0] in {"submit", "find", "list"} and name in late:
        yield f"{source.where(place)}: nobody fills {{{name}}} before there is a job"
    if place[0] in {"base_url", "auth"} and name in WINDOW_HOLES | late | {"mark"}:
        yield f"{source.where(place)}: nobody fills {{{name}}} there"
    if name == "page" and place[0] != "list":
        yield f"{source.where(place)}: {{page}} is for `list`"


def _templates(value: object, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield place, value
    items = dict(enumerate(value)) if isinstance(value, list) else value if isinstance(value, Mapping) else {}
    for key, inner in items.items():
        if not (len(place) == 1 and key in _NOT_TEMPLATES):
            yield from _templates(inner, (*place, key))


def _patterns(source: Source) -> Iterator[str]:
    for index, refusal in enumerate(source.content["submit"].get("refusals", ())):
        place: Place = ("submit", "refusals", index, "matches")
        try:
            groups = re.compile(refusal["matches"]).groupindex
        except (re.error, RecursionError, OverflowError) as error:
            yield f"{source.where(place)}: no regular expression: {error}"
            continue
        if refusal["means"] == "same" and "id" not in groups:
            yield f"{source.where(place)}: `same` needs the group (?P<id>…)"
        if may_never_end(refusal["matches"]):
            yield f"{source.where(place)}: repeats a group, or has too many repeats and choices: it may never end"


def _more(source: Source) -> Iterator[str]:
    """Yield what else contradicts: pages that nothing turns, rows of another format, keys that are missing."""
    spec = source.content
    files, listed = spec["files"], spec.get("list", {})
    pages, asks_next = files.get("pages"), "next" in _names(files)
    if pages is not None and ("next" in pages) == ("count" in pages):
        yield f"{source.where(('files', 'pages'))}: one of next, count is due"
    if pages is not None and "param" not in pages and not asks_next:
        yield f'{source.where(("files", "pages"))}: the key "param" is missing, or the hole {{next}} in the call'
    if asks_next and pages is None:
        yield f"{source.where(('files',))}: nobody fills {{next}} without `pages`"
    if "rows" in files and files.get("format") not in {"json", "jsonl"}:
        yield f"{source.where(('files', 'rows'))}: needs the format json or jsonl"
    if "pages" in listed and "page" in _names(listed):
        yield f"{source.where(('list', 'pages'))}: pages are numbered by {{page}} already"
    grant = spec.get("auth", {}).get("oauth2", {})
    needed = {"refresh_token": "refresh_token", "jwt_bearer": "private_key"}.get(grant.get("grant", ""))
    if needed and needed not in grant:
        yield f'{source.where(("auth", "oauth2"))}: the key "{needed}" is missing'
    if _stands_beside_urls(spec):
        words = "it is read in the job, and the reply of the call in `files` has no checksum that is held: leave it out"
        yield f"{source.where(('proof', 'sha256'))}: {words}"
    yield from (f"{source.where(place)}: {words}" for place, words in unbounded(spec))
    python = spec.get("python")
    if python and source.folder and not (source.folder / python).is_file():
        yield f"{source.where(('python',))}: there is no {python} beside the declaration"
    yield from _outside(source)


def _stands_beside_urls(spec: Mapping[str, Any]) -> bool:
    """Return whether a checksum is looked for where a call of its own tells the URLs: nothing would be held to it."""
    files, path = spec["files"], str(spec.get("proof", {}).get("sha256", ""))
    tells = verb_of(files)[0] and verb_of(files) != verb_of(spec["poll"]) and not path.startswith(paths.HEADER)
    first, of_url = (re.match(r"\w+", each) for each in (path, str(files.get("url", ""))))
    return bool(tells and first and of_url and first[0] == of_url[0])


def _names(template: object) -> set[str]:
    return {name for name, _ in holes(template)}


def _outside(source: Source) -> Iterator[str]:
    """Yield the paths that lead out of base_url."""
    for key in _TEMPLATES[2:]:
        for place, text in _templates(source.content.get(key), (key,)):
            if place[-1] in {*METHODS, "path"} and {".", ".."} & set(re.split(r"[/\\]", text)):
                yield f"{source.where(place)}: leads out of base_url"


def is_deep(value: object) -> bool:
    """Return whether mappings and lists stand within each other more than `MOST_LEVELS` times."""
    level = [value]
    for _ in range(MOST_LEVELS):
        inner = [list(each.values()) if isinstance(each, Mapping) else each for each in level]
        level = [item for each in inner if isinstance(each, list) for item in each]
        if not level:
            return False
    return True
