"""`--log json`: one JSON object a line, as CloudWatch takes apart by itself.

    {"timestamp":"2026-11-20T08:15:00.250Z","level":"info","message":"Looked at …","job":"01…","seconds":1.3}

`job` and `seconds` are there where a line is about a job. Clips come without the names of cameras, and
nothing that is secret is handed to a log in the first place.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from meerkat_contract.ids import format_time

FIELDS = ("job", "seconds", "worker")
"""What a line may carry besides (logging's `extra`)."""


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "timestamp": format_time(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        for name in FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def use_json() -> None:
    """All that is logged from here on, on the streams that are set up already."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonLines())
