"""Workflows that were asked for at run time, in the database. Those of the configuration are not here."""

from __future__ import annotations

import logging

from pydantic import ValidationError
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from meerkat_hub.core.workflow_records import Stored, WorkflowRemoved, WorkflowSpec, WorkflowStored

from . import schema as db

log = logging.getLogger("meerkat.hub")


def write(connection: Connection, change: WorkflowStored | WorkflowRemoved) -> None:
    """Keep a workflow, or forget it, in the caller's transaction."""
    table = db.workflows
    match change:
        case WorkflowStored(stored=stored):
            values = {"spec": stored.spec.model_dump_json(), "at": stored.at}
            statement = upsert(table).values(name=stored.name, **values)
            connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
        case WorkflowRemoved(name=name):
            connection.execute(delete(table).where(table.c.name == name))


def read(connection: Connection) -> list[Stored]:
    """All of them, by age. One that this version cannot read is left where it is, and said in the log."""
    table = db.workflows
    found: list[Stored] = []
    for row in connection.execute(select(table).order_by(table.c.at, table.c.name)):
        try:
            found.append(Stored(row.name, WorkflowSpec.model_validate_json(row.spec), row.at))
        except ValidationError as error:
            log.error(
                "workflow %s, stored by another version, cannot be read and does not run: %s. "
                "Ask for it again with POST /api/workflows",
                row.name,
                error.errors()[0]["msg"],
            )
    return found
