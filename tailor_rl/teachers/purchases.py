"""The purchase book: every teacher answer of a run folder, so that none is paid for twice.

A row is `sent` before the request leaves and `received` when its answer is committed. A process
killed in between leaves `sent`: whether that answer was charged is unknown, the request goes out
again, and the row counts it in `times_sent`.

SQLite in WAL mode on a local disk: several processes of one host may share the file. A commit
survives the death of the process (not, without a sync, the loss of power). A book of an earlier
version gets the columns that it lacks.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import stamina

from tailor_rl.errors import RunFolderError
from tailor_rl.protocols import TeacherReply, TeacherRequest, TeacherSpent

_BUSY_TIMEOUT_S = 20.0
_VERSION = 1  # of the file; 0 had neither seconds, retries and cost nor a total
_SCHEMA = """
CREATE TABLE IF NOT EXISTS purchases (
    key TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    request TEXT NOT NULL,            -- JSON, for people who ask what was asked
    times_sent INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('sent', 'received')),
    text TEXT, model TEXT, finish_reason TEXT,
    prompt_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0
)
"""
# The total stands in a row of its own: a budget asks for it before every purchase, and a sum over
# a long book would take as long as the purchase.
_UPGRADE = (
    "ALTER TABLE purchases ADD COLUMN retries INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE purchases ADD COLUMN seconds REAL NOT NULL DEFAULT 0",
    "ALTER TABLE purchases ADD COLUMN cost REAL NOT NULL DEFAULT 0",
    "CREATE TABLE total (tokens INTEGER NOT NULL, money REAL NOT NULL)",
    "INSERT INTO total SELECT COALESCE(SUM(prompt_tokens + completion_tokens), 0), 0"
    " FROM purchases",
)
_ANSWER = "text, model, finish_reason, prompt_tokens, completion_tokens, retries, seconds, cost"


@dataclass(frozen=True, slots=True)
class Total:
    """What all purposes together have cost so far."""

    tokens: int
    money: float


def purchase_key(model: str, request: TeacherRequest) -> str:
    """Names a purchase: equal for equal questions to the same model, wherever it is served."""
    fields: list[object] = [
        model,
        request.system,
        request.prompt,
        request.temperature,
        request.max_tokens,
        request.sample,
    ]
    if request.schema:
        fields.append(request.schema)
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()


class PurchaseBook:
    """The journal `teacher.sqlite`. Every method commits before it returns (about 0.2 ms)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._explained():
            # Ray builds an async actor in one thread and calls it in another.
            self._db = sqlite3.connect(
                path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            # Where others open the file too, SQLite refuses this at once instead of waiting.
            for attempt in stamina.retry_context(
                on=sqlite3.OperationalError, attempts=None, timeout=_BUSY_TIMEOUT_S,
                wait_initial=0.01, wait_max=0.2, wait_jitter=0.05,
            ):  # fmt: skip
                with attempt:
                    self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            with self._transaction():
                self._prepare()

    def find(self, key: str) -> TeacherReply | None:
        """The finished answer to a purchase, marked as not paid for now."""
        with self._explained():
            row = self._db.execute(
                f"SELECT {_ANSWER} FROM purchases WHERE key = ? AND state = 'received'", (key,)
            ).fetchone()
        if row is None:
            return None
        text, model, finish_reason, prompt_tokens, completion_tokens, *spent = row
        retries, seconds, cost = spent
        return TeacherReply(
            text,
            model,
            finish_reason,
            prompt_tokens,
            completion_tokens,
            paid=False,
            retries=retries,
            seconds=seconds,
            cost=cost,
        )

    def has_answer_of(self, model: str) -> bool:
        """Whether a model, as named by its recipe, has answered any request with a text."""
        with self._explained():
            row = self._db.execute(
                "SELECT 1 FROM purchases WHERE state = 'received' AND TRIM(text) != ''"
                " AND json_extract(request, '$.model') = ? LIMIT 1",
                (model,),
            ).fetchone()
        return row is not None

    def sent(self, key: str, *, model: str, request: TeacherRequest) -> None:
        """Write down that a request is about to leave."""
        asked = {
            "model": model,
            "system": request.system,
            "prompt": request.prompt,
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "sample": request.sample,
        }
        if request.schema:
            asked["schema"] = request.schema
        with self._explained():
            self._db.execute(
                "INSERT INTO purchases (key, purpose, request, times_sent, state)"
                " VALUES (?, ?, ?, 1, 'sent')"
                " ON CONFLICT (key) DO UPDATE SET times_sent = times_sent + 1",
                (key, request.purpose, json.dumps(asked)),
            )

    def received(self, key: str, reply: TeacherReply) -> None:
        """Write down the answer to a request that `sent` has announced, and what it cost."""
        answer = (
            reply.text,
            reply.model,
            reply.finish_reason,
            reply.prompt_tokens,
            reply.completion_tokens,
            reply.retries,
            reply.seconds,
            reply.cost,
        )
        with self._explained(), self._transaction():
            done = self._db.execute(
                f"UPDATE purchases SET state = 'received', ({_ANSWER}) = (?, ?, ?, ?, ?, ?, ?, ?)"
                " WHERE key = ?",
                (*answer, key),
            )
            self._db.execute(
                "UPDATE total SET tokens = tokens + ?, money = money + ?",
                (reply.prompt_tokens + reply.completion_tokens, reply.cost),
            )
        assert done.rowcount == 1, f"purchase {key} was received but never sent"

    def reopen(self, keys: Iterable[str]) -> None:
        """Take back answers that were none and cost nothing: they will be asked for again."""
        with self._explained(), self._transaction():
            self._db.executemany(
                "UPDATE purchases SET state = 'sent', text = NULL WHERE key = ?"
                " AND prompt_tokens + completion_tokens = 0 AND TRIM(text) = ''",
                [(key,) for key in keys],
            )

    def spent(self) -> dict[str, TeacherSpent]:
        """What each purpose has cost, of everybody who ever wrote to this file."""
        with self._explained():
            rows = self._db.execute(
                "SELECT purpose, SUM(state = 'received'), SUM(prompt_tokens),"
                " SUM(completion_tokens), SUM(state = 'received' AND TRIM(text) = ''),"
                " SUM(times_sent - 1), SUM(retries), SUM(seconds), SUM(cost)"
                " FROM purchases GROUP BY purpose ORDER BY purpose"
            ).fetchall()
        return {purpose: TeacherSpent(*counts) for purpose, *counts in rows}

    def total(self) -> Total:
        """Tokens and money of all purposes, quickly."""
        with self._explained():
            return Total(*self._db.execute("SELECT tokens, money FROM total").fetchone())

    def close(self) -> None:
        self._db.close()

    def _prepare(self) -> None:
        self._db.execute(_SCHEMA)
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise RunFolderError(
                f"The purchase book {self._path} was written by a later version of this program"
                f" (its format is {version}, this one knows {_VERSION}); use that version."
            )
        if version < _VERSION:
            for statement in _UPGRADE:
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # a full disk ends it already
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise RunFolderError(
                f"The purchase book {self._path} cannot be used ({error}); it must be a SQLite file"
                " of this program, on a local disk with free space, that no other program locks."
            ) from error
