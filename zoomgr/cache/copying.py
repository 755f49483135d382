"""Copying and hashing at once: a thread hashes the blocks while the next are read and written."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle

from zoomgr.records import Digest

# Measured for 1 GB into new files on ext4, in a virtual machine: 1.9 s with 64 KiB (handing over takes too
# long), 1.1 s with 256 KiB, 1.7 to 2.8 s with 1 MiB, for which the kernel wants memory in large pieces.
_BLOCK_BYTES = 256 << 10
_BLOCKS = 8

Read = Callable[[memoryview], int]
"""Fills a buffer, or a part of it; how many bytes, 0 at the end."""
Write = Callable[[memoryview], object]
"""Takes all of a buffer, which may change afterwards."""


def copy_hashed(read: Read, write: Write, size_bytes: int) -> Digest:
    """Copy so many bytes; their sha256.

    Raises:
        EOFError: there are not so many. What `read` and `write` raise goes through.
    """
    sha256 = hashlib.sha256()
    blocks = cycle([memoryview(bytearray(min(_BLOCK_BYTES, size_bytes))) for _ in range(_BLOCKS)])
    hashing: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1, "zoomgr-hashing") as hasher:
        left = size_bytes
        while left:
            if len(hashing) == _BLOCKS:
                hashing.popleft().result()  # so that the next block may be written over
            block = next(blocks)[:left]
            count = read(block)
            if not count:
                raise EOFError
            hashing.append(hasher.submit(sha256.update, block[:count]))
            write(block[:count])
            left -= count
    return Digest(sha256.hexdigest())
