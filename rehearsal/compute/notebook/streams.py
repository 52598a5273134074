"""What a notebook prints: passed on to the caller's pipes and kept with its cell, without secrets.

Python's own `print` is caught at `sys.stdout`, at once and in order; what other programs and libraries write to the
file descriptors 1 and 2 comes through a pipe and a thread.
"""

import codecs
import contextlib
import fcntl
import io
import os
import select
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from rehearsal.compute.notebook.redaction import RedactedStream, Redactor

Sink: TypeAlias = Callable[[str, str], None]
"""Takes the stream's name (`stdout`, `stderr`) and text."""

_SYNC_SECONDS = 1.0  # that the end of a cell waits for programs which write on and on


class Streams:
    """Catches both streams of this process from `start` to `stop`.

    Args:
        redactor: takes the secrets out.
        sink: is given the text.
    """

    def __init__(self, redactor: Redactor, sink: Sink) -> None:
        self._streams = [_Stream(redactor, sink, name, number) for number, name in ((1, "stdout"), (2, "stderr"))]

    @property
    def originals(self) -> tuple[int, int]:
        """File descriptors of the caller's pipes."""
        return self._streams[0].original, self._streams[1].original

    def start(self) -> None:
        for stream in self._streams:
            stream.start()

    def sync(self) -> None:
        """All that was written so far has arrived in the sink."""
        for stream in self._streams:
            stream.sync()

    def stop(self) -> None:
        """The streams are the process's own again."""
        self.sync()
        for stream in self._streams:
            stream.stop()


class _Stream(io.RawIOBase):
    def __init__(self, redactor: Redactor, sink: Sink, name: str, number: int) -> None:
        self._sink = sink
        self._name = name
        self._number = number
        self._redacted = RedactedStream(redactor)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._lock = threading.Lock()
        self._process = os.getpid()
        self.original = os.dup(number)
        self._pipe = -1

    def start(self) -> None:
        self._pipe, write = os.pipe()
        os.dup2(write, self._number)
        os.close(write)
        self._text: io.TextIOWrapper = io.TextIOWrapper(
            self,  # type: ignore[arg-type] # unbuffered, as with `python -u`
            encoding="utf-8",
            errors="backslashreplace",
            newline="\n",
            write_through=True,
        )
        setattr(sys, self._name, self._text)
        threading.Thread(target=self._pump, daemon=True, name=f"notebook {self._name}").start()

    def sync(self) -> None:
        # The notebook may have put another stream in its place, or closed ours.
        with contextlib.suppress(ValueError, OSError):
            self._text.flush()
        deadline = time.monotonic() + _SYNC_SECONDS
        while self._waiting() and time.monotonic() < deadline:
            time.sleep(0.001)
        with self._lock:
            self._pass(self._redacted.flush())

    def stop(self) -> None:
        os.dup2(self.original, self._number)
        setattr(sys, self._name, getattr(sys, f"__{self._name}__"))

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def write(self, data: Any, /) -> int:
        given = bytes(data)
        if os.getpid() != self._process:
            # A fork: its parent reads the pipe.
            os.write(self._number, given)
            return len(given)
        with self._lock:
            self._pass(self._redacted.feed(given))
        return len(given)

    def close(self) -> None:
        """A notebook that closes `sys.stdout` doesn't take it from the next cell."""

    def _pump(self) -> None:
        while True:
            select.select([self._pipe], [], [])
            with self._lock:
                data = os.read(self._pipe, 65536)
                if not data:
                    return
                self._pass(self._redacted.feed(data))

    def _waiting(self) -> int:
        (size,) = struct.unpack("i", fcntl.ioctl(self._pipe, termios.FIONREAD, b"\0\0\0\0"))
        return int(size)

    def _pass(self, data: bytes) -> None:
        if not data:
            return
        self._sink(self._name, self._decoder.decode(data))
        # A caller that doesn't listen any more is no reason to end.
        with contextlib.suppress(BrokenPipeError):
            view = memoryview(data)
            while view:
                view = view[os.write(self.original, view) :]
