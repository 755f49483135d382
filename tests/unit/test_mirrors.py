"""Where a file may lie besides its own URLs: order, layout, and what mirrors are not told."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoomgr.cache.mirrors import candidate_urls
from zoomgr.records import Artifact, Digest

WHOLE = Digest("ab" * 32)
WEAK = Digest("ab" * 4)
BLOB = f"v1/blobs/sha256/ab/{'ab' * 32}"


def tried(
    *urls: str,
    digest: Digest | None = None,
    rewrites: Mapping[str, tuple[str, ...]] | None = None,
    mirrors: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """What is asked for a file."""
    return candidate_urls(Artifact(urls, "x.pth", digest=digest), rewrites or {}, mirrors)


# -- rewrites ------------------------------------------------------------------------------------------------


def test_rewrites_come_before_the_url_that_they_stand_for() -> None:
    """Those of the longest prefix, in their order."""
    rewrites = {"https://o/": ("https://far/",), "https://o/models/": ("file:///site/", "https://near/m/")}

    assert tried("https://o/models/x.pth", rewrites=rewrites) == (
        "file:///site/x.pth",
        "https://near/m/x.pth",
        "https://o/models/x.pth",
    )


def test_no_url_is_tried_twice() -> None:
    """Also when a mirror is one of the artifact's own URLs."""
    found = tried("https://a/x", "https://b/x", rewrites={"https://a/": ("https://b/",)})

    assert found == ("https://b/x", "https://a/x")


def test_a_prefix_ends_where_a_part_of_the_url_ends() -> None:
    """A mirror of https://host says nothing of https://hostess."""
    rewrites = {"https://host": ("https://mirror",)}

    assert tried("https://hostess/x", rewrites=rewrites) == ("https://hostess/x",)
    assert tried("https://host/x", rewrites=rewrites) == ("https://mirror/x", "https://host/x")


def test_a_mirror_stands_for_the_url_that_messages_show() -> None:
    """A plugin's own mark before the scheme is neither in messages nor in the registry."""
    found = tried("pypi+https://files/x.whl", rewrites={"https://files/": ("file:///site/",)})

    assert found == ("file:///site/x.whl", "pypi+https://files/x.whl")


@pytest.mark.parametrize(
    ("url", "place", "expected"),
    [
        ("https://o/my%20net.pth", "s3://b/", "s3://b/my net.pth"),
        ("s3://o/100% mine.pth", "https://m/", "https://m/100%25%20mine.pth"),
        ("https://o/a%2Fb.pth", "file:///m/", "file:///m/a%2Fb.pth"),
        ("s3://o/a%20b.pth", "sftp://m/", "sftp://m/a%20b.pth"),
    ],
)
def test_a_path_is_spelt_as_the_place_spells_it(url: str, place: str, expected: str) -> None:
    """Stores take it to the letter, web servers quoted."""
    prefix = url.partition("/o/")[0] + "/o/"

    assert tried(url, rewrites={prefix: (place,)}) == (expected, url)


@given(
    st.lists(st.text(min_size=1), min_size=1),
    st.dictionaries(st.text(min_size=1), st.lists(st.text())),
    st.lists(st.sampled_from(["https://m", "file:///m/", "s3://b/m"])),
    st.sampled_from([None, WEAK, WHOLE]),
)
def test_every_url_of_the_artifact_is_tried(
    urls: list[str], rewrites: dict[str, list[str]], mirrors: list[str], digest: Digest | None
) -> None:
    """Mirrors add, they never take away; nothing comes twice; without mirrors the order is the artifact's."""
    prefixes = {prefix: tuple(those) for prefix, those in rewrites.items()}

    found = tried(*urls, digest=digest, rewrites=prefixes, mirrors=tuple(mirrors))

    assert set(urls) <= set(found)
    assert len(set(found)) == len(found)
    assert tried(*urls, digest=digest) == tuple(dict.fromkeys(urls))


# -- mirrors of the site -------------------------------------------------------------------------------------


def test_mirrors_of_the_site_come_first_in_their_order() -> None:
    """Each by digest, then by name; then what the registry says; then the origin."""
    found = tried(
        "https://o/a/x.pth",
        digest=WHOLE,
        rewrites={"https://o/": ("https://r/",)},
        mirrors=("https://m/zoo/", "file:///mnt/zoo"),
    )

    assert found == (
        f"https://m/zoo/{BLOB}",
        "https://m/zoo/o/a/x.pth",
        f"file:///mnt/zoo/{BLOB}",
        "file:///mnt/zoo/o/a/x.pth",
        "https://r/a/x.pth",
        "https://o/a/x.pth",
    )


@pytest.mark.parametrize("digest", [None, WEAK])
def test_without_a_whole_digest_a_mirror_is_asked_by_name(digest: Digest | None) -> None:
    """A prefix names no blob."""
    assert tried("https://o/x.pth", digest=digest, mirrors=("https://m",)) == (
        "https://m/o/x.pth",
        "https://o/x.pth",
    )


@pytest.mark.parametrize(
    ("url", "mirror", "expected"),
    [
        ("https://O.example:8443/a/x.pth", "https://m", "https://m/o.example:8443/a/x.pth"),
        ("https://o/a%20b%25.pth", "https://m", "https://m/o/a%20b%25.pth"),
        ("https://o/a%20b%25.pth", "file:///m", "file:///m/o/a%20b%25.pth"),
        ("https://o/a%20b%25.pth", "s3://m", "s3://m/o/a b%.pth"),
        ("hf://owner/repo@v1/a/x.pth", "https://m", "https://m/hf/owner/repo@v1/a/x.pth"),
        ("pypi://dist==1.0/a/x y.pth", "https://m", "https://m/pypi/dist==1.0/a/x%20y.pth"),
        ("pypi+https://files/a/x.whl", "https://m", "https://m/files/a/x.whl"),
        ("s3://bucket/a/x.pth", "file:///m", "file:///m/s3/bucket/a/x.pth"),
    ],
)
def test_a_file_lies_where_its_url_says(url: str, mirror: str, expected: str) -> None:
    """Host and path, as `wget -x` has them; another scheme is a folder; spelt as the mirror's kind needs."""
    assert tried(url, mirrors=(mirror,)) == (expected, url)


@pytest.mark.parametrize(
    "url", ["file:///data/x.pth", "https://o", "https:///x.pth", "x.pth", "https://o/%2e%2e/%2E./etc/x"]
)
def test_what_has_no_place_below_a_mirror_is_not_asked_of_it(url: str) -> None:
    """Own files, no files at all, and what would lead out of it."""
    assert tried(url, mirrors=("file:///m",)) == (url,)


@pytest.mark.parametrize("digest", [WEAK, WHOLE])
def test_mirrors_learn_no_secret(digest: Digest) -> None:
    """Neither login nor query, by either kind of mirror; the origin gets what it needs."""
    url = "https://me:hunter2@o/x.pth?token=s3cret"

    found = tried(url, digest=digest, rewrites={"https://o/": ("https://r/",)}, mirrors=("https://m",))

    assert found[-3:] == ("https://m/o/x.pth", "https://r/x.pth", url)


def test_a_query_that_tells_files_apart_is_no_guess() -> None:
    """Without a digest nobody could say whether a mirror's file is that of `id=1`."""
    found = tried("https://o/get?id=1", rewrites={"https://o/": ("https://r/",)}, mirrors=("https://m",))

    assert found == ("https://o/get?id=1",)
