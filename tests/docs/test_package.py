"""What a registry shows of the package: the project's URLs, and a README whose links work there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

from tools.readme import absolute

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SOURCE = "https://host.example/org/name"
LINK = re.compile(r"\]\(([^)]+)\)")


@pytest.fixture(scope="module")
def metadata() -> ProjectMetadata[PluginManager]:
    """Return the metadata as a build has it."""
    return ProjectMetadata(str(ROOT), PluginManager())


def test_no_link_of_the_readme_is_relative(metadata: ProjectMetadata[PluginManager]) -> None:
    links = LINK.findall(metadata.core.readme)
    assert len(links) == len(LINK.findall(README)) > 10
    assert [link for link in links if not link.startswith("https://")] == []


def test_links_lead_to_the_tag_of_the_version(metadata: ProjectMetadata[PluginManager]) -> None:
    """An old version's page goes on showing that version's documents."""
    at = f"{metadata.core.urls['Source']}/blob/v{metadata.version}/docs/state.md"
    assert at in LINK.findall(metadata.core.readme)


def test_only_links_of_the_readme_change(metadata: ProjectMetadata[PluginManager]) -> None:
    assert LINK.sub("", metadata.core.readme) == LINK.sub("", README)
    assert metadata.core.readme_content_type == "text/markdown"


def test_urls_share_one_home(metadata: ProjectMetadata[PluginManager]) -> None:
    urls = metadata.core.urls
    assert set(urls) == {"Source", "Documentation", "Changelog", "Issues"}
    assert [url for url in urls.values() if not f"{url}/".startswith(f"{urls['Source']}/")] == []


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("docs/a.md", f"{SOURCE}/blob/v1/docs/a.md"),
        ("docs/a.md#part", f"{SOURCE}/blob/v1/docs/a.md#part"),
        ("docs/decisions/", f"{SOURCE}/tree/v1/docs/decisions/"),
        ("#security", f"{SOURCE}/blob/v1/README.md#security"),
        ("https://elsewhere.example/", "https://elsewhere.example/"),
        ("mailto:a@b.example", "mailto:a@b.example"),
    ],
)
def test_kinds_of_links(link: str, address: str) -> None:
    """Files, folders and headings of the repository get an address; addresses stay."""
    assert absolute(f"See [it]({link}).", SOURCE, "v1") == f"See [it]({address})."
