"""The tests that every provider passes, of whatever package; each docstring states the rule that it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from tap_exports import registry
from tap_exports.engine.model import Status
from tap_exports.registry import Provider
from tap_exports.settings import secret_values
from tap_exports.singer.tap import LAST
from tap_exports.tap import TapExports
from tap_exports.testing import written
from tap_exports.testing.process import Ran, run_tap

FORBIDDEN = frozenset({"backoff", "os", "pathlib", "requests", "singer_sdk", "tempfile", "time"})
MODULES = ("settings", "api", "schemas", "streams")
SIGNED = re.compile(r"(^|_)(download_url|result_url|signed_url|csv_url|json_url)$")
WRONG = "a-key-that-nobody-has"


class ProviderConformance:
    """Subclass it for one provider, set `provider` and write `served`.

    Attributes:
        provider: The name under which it is registered.
        credentials: The names of its secret settings.
    """

    provider: ClassVar[str]
    credentials: ClassVar[frozenset[str]] = frozenset({"api_key", "api_token"})
    _catalogs: ClassVar[dict[type, dict[str, Any]]] = {}

    # To be written

    def served(self) -> AbstractContextManager[Mapping[str, Any]]:
        """Return a context in which the API answers; it gives a configuration with one entry of each kind of stream."""
        raise NotImplementedError

    def run(self, folder: Path, config: Mapping[str, Any], *arguments: str, **options: Any) -> Ran:  # noqa: ANN401 - of `run_tap`
        """Run the tap; see `run_tap`."""
        return run_tap(folder, config, *arguments, **options)

    # What the tests ask

    @property
    def registered(self) -> Provider:
        """Return the provider as it is registered."""
        return registry.providers()[self.provider]

    @property
    def settings(self) -> list[tuple[str, dict[str, Any]]]:
        """Return every setting of the block with its path."""
        return list(written.settings_within(registry.BLOCKS[self.provider], self.provider))

    @property
    def catalog(self) -> Mapping[str, dict[str, Any]]:
        """Return the entries of the catalog by stream; it is discovered once per class."""
        if type(self) not in self._catalogs:
            with self.served() as config:
                found = TapExports(config=dict(config), setup_mapper=False).catalog_dict["streams"]
            self._catalogs[type(self)] = {each["stream"]: each for each in found if each["stream"] not in LAST}
        return self._catalogs[type(self)]

    # Files

    def test_the_package_can_be_used(self) -> None:
        """It is registered under a name of its own, and all of its modules can be imported."""
        assert self.provider not in registry.BROKEN, registry.BROKEN[self.provider]
        for name in MODULES:
            self.registered.module(name)

    def test_an_api_neither_waits_nor_retries_nor_knows_singer(self) -> None:
        """It makes requests and reads replies; the engine does the rest."""
        api = self.registered.module("api")
        found = written.imports(api)
        strange = {n for n in found if n.split(".")[0] in FORBIDDEN or n.startswith("tap_exports.singer")}
        assert strange == set()
        text = re.sub(r"def open\(", "", written.source_of(api))
        assert re.findall(r"\bsleep\(|(?<!\.)\bopen\(", text) == []

    def test_statuses_name_a_success_and_a_failure(self) -> None:
        """A word that is not there is never a success, so `STATUSES` of `api` has one; and one for what failed."""
        meant = set(self.registered.module("api").STATUSES.values())
        assert Status.COMPLETED in meant
        assert {Status.FAILED, Status.CANCELLED, Status.TIMED_OUT} & meant

    # Settings

    def test_every_setting_is_described(self) -> None:
        """`--about`, `meltano.yml` and the documents show the descriptions."""
        assert [path for path, prop in self.settings if not prop.get("description")] == []
        assert f"{self.provider}.api_url" in dict(self.settings)

    def test_every_credential_is_secret_and_nothing_else(self) -> None:
        """What is secret is removed from logs and from the catalog of settings; what is not must be seen."""
        secret = {path for path, prop in self.settings if prop.get("secret") or prop.get("writeOnly")}
        assert secret == {path for path, _ in self.settings if path.rpartition(".")[2] in self.credentials}
        assert secret

    def test_a_block_takes_no_unknown_key(self) -> None:
        """Objects that the provider reads as they are, such as filters, are the only open ones."""
        objects = [(path, prop) for path, prop in self.settings if prop.get("properties")]
        assert [path for path, prop in objects if prop.get("additionalProperties") is not False] == []

    # Streams

    def test_streams_tell_documents_window_and_caveats(self) -> None:
        """In that order, each once, each with words; classes that only others build on have none of them."""
        module = self.registered.module("streams")
        with self.served() as config:
            streams = TapExports(config=dict(config), setup_mapper=False).discover_streams()
        built = {type(stream).__name__ for stream in streams if type(stream).__module__ == module.__name__}
        told = {node.name: written.terms(node) for node in written.classes_in(module)}
        due = {name: list(written.TERMS) if name in built else [] for name in told}
        assert told == due
        assert built <= set(told)
        pages = [written.page(node) for node in written.classes_in(module)]
        assert [page for page in pages if page and not page.startswith("https://")] == []

    def test_attributes_of_streams_stand_in_one_order(self) -> None:
        """That of `tap_exports.testing.written.ATTRIBUTES`; others are annotated `ClassVar` in a class of their own."""
        found = {n.name: written.attributes(n) for n in written.classes_in(self.registered.module("streams"))}
        known = list(written.ATTRIBUTES)
        assert {name for names in found.values() for name in names} - set(known) == set()
        assert {name: names for name, names in found.items() if names != sorted(names, key=known.index)} == {}

    def test_names_of_streams_begin_with_the_provider(self) -> None:
        """Otherwise STATE and subcommands cannot tell whose they are."""
        assert [name for name in self.catalog if not name.startswith(f"{self.provider}_")] == []
        assert self.catalog

    def test_keys_and_bookmarks_stand_in_the_schema(self) -> None:
        """A target looks for them there."""
        assert {name: sorted(_lacking(entry)) for name, entry in self.catalog.items() if _lacking(entry)} == {}

    def test_keys_are_never_null(self) -> None:
        """A key that may be null makes a target lose rows, or refuse them."""
        columns = ((name, key, entry) for name, entry in self.catalog.items() for key in entry["key_properties"])
        assert [(n, k) for n, k, entry in columns if "null" in entry["schema"]["properties"][k]["type"]] == []

    def test_no_column_holds_a_signed_url(self) -> None:
        """A signed URL is a secret: whoever holds it can read the file."""
        columns = ((name, column) for name, entry in self.catalog.items() for column in entry["schema"]["properties"])
        assert [each for each in columns if SIGNED.search(each[1])] == []

    # Runs

    def test_a_run_ends_well_and_shows_no_secret(self, tmp_path: Path) -> None:
        """SCHEMA comes before records, STATE after them, and no key is in what is written or logged."""
        with self.served() as config:
            ran = self.run(tmp_path, config, environment={"LOGLEVEL": "DEBUG"})
        assert ran.code == 0, ran.stderr
        assert list(_without_schema(ran)) == []
        assert {stream for stream in ran.records if stream not in LAST} <= set(self.catalog)
        whole = ran.stderr + b"\n".join(ran.lines).decode()
        assert [key for key in secret_values(config, TapExports.config_jsonschema) if key in whole] == []

    def test_a_second_run_brings_no_other_rows(self, tmp_path: Path) -> None:
        """With the STATE of the first, rows of windows come under the keys that they had, or not at all."""
        with self.served() as config:
            first = self.run(tmp_path, config)
            second = self.run(tmp_path, config, state=first.states[-1])
        assert (first.code, second.code) == (0, 0), first.stderr + second.stderr
        windowed = (n for n in second.records if "_export_" in n and self.catalog[n].get("replication_key"))
        new = {name: _keys(second, name) - _keys(first, name) for name in windowed}
        assert {name: keys for name, keys in new.items() if keys} == {}

    def test_a_wrong_key_is_named(self, tmp_path: Path) -> None:
        """The run fails, and its errors name the setting."""
        with self.served() as config:
            block = dict(config[self.provider])
            block |= {name: WRONG for name in self.credentials if name in block}
            ran = self.run(tmp_path, {**config, self.provider: block})
        assert ran.code == 1
        names = [f"`{self.provider}.{name}`" for name in self.credentials]
        assert any(name in error for name in names for error in ran.errors), ran.stderr
        assert WRONG not in ran.stderr


def _lacking(entry: Mapping[str, Any]) -> set[str]:
    wanted: set[str] = {*entry["key_properties"], entry.get("replication_key") or ""} - {""}
    return wanted - set(entry["schema"]["properties"])


def _without_schema(ran: Ran) -> Iterator[str]:
    """Yield what stands at the wrong place."""
    seen = set[str]()
    for message in ran.messages:
        if message["type"] == "SCHEMA":
            seen.add(message["stream"])
        elif message["type"] in {"RECORD", "BATCH"} and message["stream"] not in seen:
            yield f"a record of {message['stream']} before its SCHEMA"
    last = [m["type"] for m in ran.messages if m["type"] in {"RECORD", "STATE"}][-1:]
    if last != ["STATE"]:
        yield "no STATE after the last record"


def _keys(ran: Ran, stream: str) -> set[tuple[str, ...]]:
    keys = ran.schema(stream)["key_properties"]
    return {tuple(str(record.get(key)) for key in keys) for record in ran.records[stream]}
