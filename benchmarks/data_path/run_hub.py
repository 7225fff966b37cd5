"""The hub without its page, for the data path.

    python run_hub.py PORT DATA QOS

QoS 0: one workflow watches all cameras, and is admitted whatever they send: a hub reckons with 1,000
decisions a second otherwise, far below what its data path carries.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from meerkat_contract.connection import Connection
from meerkat_hub.application import build_hub
from meerkat_hub.core.workflow_records import Policy, WorkflowSpec
from meerkat_hub.settings import HubSettings

CAMERAS = 64
"""As in relay.c. A workflow takes at most 240 frames a second of one camera."""

WORKFLOW = {
    "cameras": {f"porch/cam{number}": 240 for number in range(CAMERAS)},
    "measurement": "detect_faces",
    "feature": None,
    "decision": {"rule": "seen"},
    "max_delay": 60,
}


def main(port: str, data: str, qos: str) -> None:

    hub = build_hub(
        Path(data),
        Connection("127.0.0.1", int(port)),
        HubSettings(),
        page="",
        workflows={} if int(qos) else {"watch": WorkflowSpec.model_validate(WORKFLOW)},
        policy=Policy(decisions_per_second=1e6),
    )
    hub.start()
    try:
        signal.sigwait({signal.SIGTERM})
    finally:
        hub.stop()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main(*sys.argv[1:])
