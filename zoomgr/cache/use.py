"""When weights of the cache were last used, and which are in use now.

The time of a record is when its ref was last used: it is written when the file is fetched, and a load sets it
anew, at most once in a while. So a load costs a `stat`; a cache that cannot be written is used all the same.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path

_NOTED_S = 3600.0
"""A use is noted once in so many seconds: a thousand nodes that load the same need not write it a thousand
times."""
RECENT_S = 2 * _NOTED_S
"""What was used since may be in use by a process that nobody here sees, another user's or another machine's.
It was noted at most `_NOTED_S` before that began, and clocks differ by less than the rest."""
_MAPPED = re.compile(r"/([0-9a-f]{64})(?: \(deleted\))?$", re.MULTILINE)


def note_use(record: Path) -> bool:
    """Note that a ref is used now; False when its record is gone.

    After True no `gc` that looks at the time takes the ref for `RECENT_S`.
    """
    try:
        if time.time() - record.stat().st_mtime >= _NOTED_S:
            os.utime(record)
            record.stat()  # one that was taken away in between has the new time too late
    except FileNotFoundError:
        return False
    except OSError:  # another user's record, or a file system that cannot be written
        pass
    return True


def mapped_digests() -> frozenset[str]:
    """Digests, in hex, of the files that processes of this machine have mapped, as far as this user may see.

    A blob and its converted copy bear the digest as their names (proc_pid_maps(5)).
    """
    found: set[str] = set()
    with suppress(OSError):
        for name in os.listdir("/proc"):  # noqa: PTH208 [names, no paths]
            if name.isdecimal():
                with suppress(OSError):
                    found.update(_MAPPED.findall(Path(f"/proc/{name}/maps").read_text(errors="replace")))
    return frozenset(found)
