"""A thread that looks again and again for what is to be done, and at once when somebody wakes it."""

import sys
import threading
import traceback
from collections.abc import Callable

_AFTER_A_MISTAKE = 1.0  # seconds


class Worker:
    """It begins with the first `wake`.

    Args:
        name: of the thread.
        look: one look; gives the seconds until the next one is due, None for when it is woken.
    """

    def __init__(self, name: str, look: Callable[[], float | None]) -> None:
        self._look = look
        self._due = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._lock = threading.Lock()
        self.stopping = False

    def wake(self) -> None:
        """Has the thread look at once."""
        self._due.set()
        with self._lock:
            if not self.stopping and self._thread.ident is None:
                self._thread.start()

    def stop(self) -> None:
        """Begins no further look."""
        with self._lock:
            self.stopping = True
        self._due.set()

    def join(self, seconds: float = 10) -> None:
        """Waits for the end of a look that is under way."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self.stopping:
            self._due.clear()
            try:
                pause = self._look()
            except Exception:  # noqa: BLE001 - a mistake in one look must not end all work; the log has it
                traceback.print_exc(file=sys.stderr)
                pause = _AFTER_A_MISTAKE
            self._due.wait(pause)
