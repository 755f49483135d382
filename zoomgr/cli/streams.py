"""stdout and stderr that survive what they are given, wherever they lead."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import TYPE_CHECKING, TextIO

from zoomgr.errors import OutputRefusedError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Raw(io.FileIO):
    """The file behind a stream; after its first refusal it takes everything and keeps nothing."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._is_lost = False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what fits, as `FileIO` does."""
        if not self._is_lost:
            try:
                return super().write(data)
            except OSError as error:
                self._is_lost = True  # the buffers above would try again at exit, with a traceback
                self._refused(error)
        return memoryview(data).nbytes

    def _refused(self, error: OSError) -> None:
        """Notes and progress that nobody can read are no reason to fail."""


class _Answer(_Raw):
    """stdout: an answer that cannot be written is an error."""

    def _refused(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):  # `| head` has read enough; a shell calls that 128 + SIGPIPE
            raise SystemExit(128 + signal.SIGPIPE)
        raise OutputRefusedError(error.strerror or str(error)) from error


def guard_streams() -> None:
    """Make writing fail in no way but `OutputRefusedError`, whatever the encoding, the disk and the reader.

    A stream that was closed before the process began (`>&-`) leads nowhere, and keeps its descriptor: the
    next file that is opened, say a download, would get it, and with it what native code prints.
    """
    sys.stdout = _guarded(sys.stdout, _Answer)
    sys.stderr = _guarded(sys.stderr, _Raw)


def _guarded(stream: TextIO | None, kind: type[_Raw]) -> TextIO:
    if stream is None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        return io.TextIOWrapper(io.BufferedWriter(kind(nowhere)), encoding="utf-8", errors="backslashreplace")
    binary = getattr(stream, "buffer", None)
    if type(getattr(binary, "raw", binary)) is not io.FileIO:
        return stream  # a test that captures it, or a Windows console, which has writing of its own
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(kind(stream.fileno())),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.isatty() or kind is _Raw,
    )
