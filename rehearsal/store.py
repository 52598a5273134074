"""The state of a stand-in: JSON documents and bytes in one SQLite file, so that it survives a restart and a kill -9."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (kind TEXT, key TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, key));
CREATE TABLE IF NOT EXISTS blobs (kind TEXT, key TEXT, body BLOB NOT NULL, PRIMARY KEY (kind, key));
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, last INTEGER NOT NULL);
"""


def secret_key(secret: str) -> str:
    """Under which a token or a secret is kept: nobody can read it there."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Store:
    """Documents and bytes by kind and key, with counters that never give a number twice.

    Every call is a transaction of its own; `transaction` makes several calls one. Safe to use from several threads.

    Args:
        path: the SQLite file; made, with its folder, when it is missing.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # A write-ahead log survives the death of the process; `normal` gives up only what a power cut could take.
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is kept, or, when it raises, nothing of it. Nested use joins the outer one."""
        with self._lock:
            self._depth += 1
            try:
                if self._depth == 1:
                    self._connection.execute("BEGIN IMMEDIATE")
                yield
            except BaseException:
                if self._depth == 1:
                    self._connection.execute("ROLLBACK")
                raise
            else:
                if self._depth == 1:
                    self._connection.execute("COMMIT")
            finally:
                self._depth -= 1

    def get(self, kind: str, key: str) -> Document | None:
        """The document, or None."""
        with self._lock:
            row = self._connection.execute("SELECT body FROM documents WHERE kind=? AND key=?", (kind, key)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, kind: str, key: str, document: Document) -> None:
        """Keeps the document under this key, in place of what was there."""
        with self.transaction():
            self._connection.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, key, json.dumps(document))
            )

    def delete(self, kind: str, key: str) -> bool:
        """Forgets the document; says whether there was one."""
        with self.transaction():
            cursor = self._connection.execute("DELETE FROM documents WHERE kind=? AND key=?", (kind, key))
            return cursor.rowcount > 0

    def items(self, kind: str, prefix: str = "") -> list[tuple[str, Document]]:
        """All keys of a kind that begin with `prefix`, in order, with their documents."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT key, body FROM documents WHERE kind=? AND substr(key, 1, ?)=? ORDER BY key",
                (kind, len(prefix), prefix),
            ).fetchall()
        return [(key, json.loads(body)) for key, body in rows]

    def all(self, kind: str, prefix: str = "") -> list[Document]:
        """The documents of `items`."""
        return [document for _, document in self.items(kind, prefix)]

    def get_bytes(self, kind: str, key: str) -> bytes | None:
        """The bytes, or None."""
        with self._lock:
            row = self._connection.execute("SELECT body FROM blobs WHERE kind=? AND key=?", (kind, key)).fetchone()
        return bytes(row[0]) if row else None

    def put_bytes(self, kind: str, key: str, body: bytes) -> None:
        """Keeps the bytes under this key, in place of what was there."""
        with self.transaction():
            self._connection.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", (kind, key, body))

    def delete_bytes(self, kind: str, key: str) -> None:
        """Forgets the bytes; nothing happens where there are none."""
        with self.transaction():
            self._connection.execute("DELETE FROM blobs WHERE kind=? AND key=?", (kind, key))

    def next_number(self, counter: str, first: int = 1) -> int:
        """The next number of a counter. None is given twice, whatever was deleted since."""
        with self.transaction():
            row = self._connection.execute(
                "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET last = last + 1 RETURNING last",
                (counter, first),
            ).fetchone()
        return int(row[0])

    def clear(self) -> None:
        """Forgets everything, counters included."""
        with self.transaction():
            self._connection.execute("DELETE FROM documents")
            self._connection.execute("DELETE FROM blobs")
            self._connection.execute("DELETE FROM counters")

    def close(self) -> None:
        self._connection.close()
