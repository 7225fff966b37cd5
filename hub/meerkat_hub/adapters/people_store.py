"""The people who can be recognised, in the database, and the gallery that is made of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Delete, Engine, delete, select, text

from meerkat_contract.ids import new_id
from meerkat_hub.core.workflows.gallery import Gallery, Meaning, Sample, key_of, spelt, vector_of
from meerkat_inference import catalogue

from . import schema as db
from .database import connected

CHECKPOINT_MS = 1000
"""How long emptying the log waits for another program that reads the database."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewSample:
    """One picture of a person, described."""

    embedding: bytes
    """Little-endian float32."""
    quality: float
    picture: bytes | None = None
    """A small JPEG."""


@dataclass(frozen=True, slots=True)
class StoredSample:
    id: str
    model_sha256: str
    model_name: str
    quality: float
    added_at: datetime
    has_picture: bool


@dataclass(frozen=True, slots=True)
class StoredPerson:
    name: str
    added_at: datetime
    samples: tuple[StoredSample, ...]


class PeopleStore:
    """People and their samples. Every method raises StorageError when the database refuses.

    A name means the same person in small and capital letters, and however its accents are composed.
    `gallery` is made anew after each change, and read from any thread: it is replaced, never changed.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changing = threading.Lock()
        self.gallery = self._load()

    def people(self) -> list[StoredPerson]:
        """By name."""
        columns = [column for column in db.face_samples.c if column.name not in ("embedding", "picture")]
        has_picture = db.face_samples.c.picture.is_not(None).label("has_picture")
        with self._connection() as connection:
            rows = connection.execute(select(db.people).order_by(db.people.c.name)).all()
            samples = connection.execute(
                select(*columns, has_picture).order_by(db.face_samples.c.added_at, db.face_samples.c.id)
            ).all()
        return [
            StoredPerson(
                row.name,
                row.added_at,
                tuple(
                    StoredSample(
                        s.id, s.model_sha256, s.model_name, s.quality, s.added_at, bool(s.has_picture)
                    )
                    for s in samples
                    if s.person == row.name
                ),
            )
            for row in rows
        ]

    def person(self, name: str) -> StoredPerson | None:
        known = self._known(name)
        return next((person for person in self.people() if person.name == known), None)

    def add(self, name: str, model_sha256: str, model_name: str, samples: Sequence[NewSample]) -> list[str]:
        """Add samples to a person, who is made if new; returns the ids of those that were not there."""
        now = datetime.now(UTC)
        with self._changing:
            name = self._known(name)
            there = self.embeddings(name, model_sha256)
            new = {sample.embedding: sample for sample in samples if sample.embedding not in there}
            rows = [
                {
                    "id": new_id(),
                    "person": name,
                    "model_sha256": model_sha256,
                    "model_name": model_name,
                    "embedding": sample.embedding,
                    "quality": sample.quality,
                    "added_at": now,
                    "picture": sample.picture,
                }
                for sample in new.values()
            ]
            with self._connection(write=True) as connection:
                known = connection.execute(select(db.people.c.name).where(db.people.c.name == name))
                if known.one_or_none() is None:
                    connection.execute(db.people.insert().values(name=name, added_at=now))
                if rows:
                    connection.execute(db.face_samples.insert(), rows)
            self.gallery = self._load()
        return [str(row["id"]) for row in rows]

    def forget(self, name: str) -> bool:
        """Remove a person with all samples and pictures for good; False when there is no such person.

        SQLite is told to overwrite what it frees, and its log is emptied: a copy of the files made
        later holds no trace. Backups are the owner's.
        """
        name = self._known(name)
        return self._remove(
            delete(db.face_samples).where(db.face_samples.c.person == name),
            delete(db.people).where(db.people.c.name == name),
        )

    def forget_sample(self, name: str, sample_id: str) -> bool:
        """Remove one sample of a person for good; False when there is none."""
        samples, name = db.face_samples, self._known(name)
        return self._remove(delete(samples).where(samples.c.id == sample_id, samples.c.person == name))

    def picture(self, name: str, sample_id: str) -> bytes | None:
        """A sample's small JPEG."""
        samples, name = db.face_samples, self._known(name)
        wanted = select(samples.c.picture).where(samples.c.id == sample_id, samples.c.person == name)
        with self._connection() as connection:
            found: bytes | None = connection.execute(wanted).scalar_one_or_none()
            return found

    def embeddings(self, name: str, model_sha256: str) -> frozenset[bytes]:
        """What the person's samples of this model are, in numbers."""
        samples, name = db.face_samples, self._known(name)
        wanted = select(samples.c.embedding).where(
            samples.c.person == name, samples.c.model_sha256 == model_sha256
        )
        with self._connection() as connection:
            return frozenset(connection.execute(wanted).scalars())

    def _known(self, name: str) -> str:
        """The spelling under which the person is enrolled, else the one under which they would be."""
        with self._connection() as connection:
            names = connection.execute(select(db.people.c.name)).scalars().all()
        key = key_of(name)
        alike = sorted((known for known in names if key_of(known) == key), key=lambda known: known != name)
        return alike[0] if alike else spelt(name)

    def _remove(self, *statements: Delete) -> bool:
        sqlite = self._engine.dialect.name == "sqlite"
        with self._changing:
            with self._connection(write=True) as connection:
                if sqlite:
                    connection.execute(text("PRAGMA secure_delete=ON"))
                counts = [connection.execute(statement).rowcount for statement in statements]
            if sqlite and counts[-1]:
                with self._connection() as connection:
                    # While it waits for a reader, nobody writes: not for long.
                    usual = connection.execute(text("PRAGMA busy_timeout")).scalar_one()
                    connection.execute(text(f"PRAGMA busy_timeout={CHECKPOINT_MS}"))
                    busy = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).scalar_one()
                    connection.execute(text(f"PRAGMA busy_timeout={usual}"))
                if busy:
                    _logger.warning(
                        "What was removed is still in the log of %s: another program reads the database. "
                        "It is gone when both programs have closed it",
                        self._engine.url.database,
                    )
            self.gallery = self._load()
        return counts[-1] > 0

    def _load(self) -> Gallery:
        samples = db.face_samples
        wanted = select(samples.c.id, samples.c.person, samples.c.model_sha256, samples.c.embedding)
        with self._connection() as connection:
            rows = connection.execute(wanted.order_by(samples.c.id)).all()
        return Gallery(
            (Sample(row.id, row.person, row.model_sha256, vector_of(row.embedding)) for row in rows),
            meanings(),
        )

    def _connection(self, *, write: bool = False) -> AbstractContextManager[Connection]:
        return connected(self._engine, write=write)


def meanings() -> dict[str, Meaning]:
    """What the distances of each embedder of the catalogue mean, by the hash of its file."""
    return {
        entry.model.sha256: Meaning(entry.embedding.threshold, entry.embedding.margin)
        for entry in catalogue.ranked("recognise_faces")
        if entry.embedding is not None and entry.model.pinned
    }
