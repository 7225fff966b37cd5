"""The examples that the documents show are true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from meerkat_contract import configfile
from meerkat_contract.messages import FrameFindings, WorkflowState
from meerkat_hub.core.workflows.frames import DONE, DROPPED
from meerkat_hub.web.models import WorkflowRequest
from meerkat_hub.workflow_settings import OrchestratorSettings, WorkflowsSettings

DOCS = Path(__file__).parents[2] / "docs"
HOW_TO = (DOCS / "how-to" / "workflows.md").read_text()
TOPICS = (DOCS / "reference" / "topics.md").read_text()


def test_the_configuration_is_good(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n((?:workflows|orchestrator):.*?)```", HOW_TO, re.DOTALL)
    assert len(blocks) == 2
    file = tmp_path / "meerkat.yaml"
    file.write_text("".join(blocks))
    sections = {"workflows": WorkflowsSettings, "orchestrator": OrchestratorSettings}
    found = configfile.load(file, sections=sections)
    workflows, orchestrator = found["workflows"], found["orchestrator"]
    assert isinstance(workflows, WorkflowsSettings)
    assert isinstance(orchestrator, OrchestratorSettings)
    assert workflows.root["upper-floor"].on_device == {"house/attic"}
    assert orchestrator.policy().reserve == 0


@pytest.mark.parametrize("page", ["workflows.md", "faces.md"])
def test_what_is_to_be_sent_is_accepted(page: str) -> None:
    text = (DOCS / "how-to" / page).read_text()
    bodies = re.findall(r"-d '(\{.*?\})'", text, re.DOTALL)
    assert bodies
    for body in bodies:
        WorkflowRequest.model_validate_json(body)


def test_every_fate_of_a_frame_is_explained() -> None:
    table = HOW_TO.split("## What becomes of frames")[1].split("## Rules")[0]
    explained = {
        word for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for word in row.split("`")[1::2]
    }
    assert explained == {*DONE, *DROPPED}


def test_the_messages_are_what_they_say() -> None:
    for name, kind in (("WorkflowState", WorkflowState), ("FrameFindings", FrameFindings)):
        shown = re.search(rf"### {name}\n\n```json\n(.*?)```", TOPICS, re.DOTALL)
        assert shown
        read = kind.model_validate_json(shown[1])
        assert json.loads(read.to_json()).keys() >= json.loads(shown[1]).keys()
