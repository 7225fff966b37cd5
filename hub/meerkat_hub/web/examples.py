"""Examples that the OpenAPI document shows; a test validates them against their models."""

from __future__ import annotations

from typing import Any

CLIP: dict[str, Any] = {
    "id": "0194a3c0-5b1e-7c3a-8f00-2b6c1f0d9e11",
    "device": "porch",
    "camera": "front",
    "recording": "0194a3c0-4a7f-7b21-9c55-0d3e5b7a1c22",
    "sequence": 0,
    "captured_at": "2026-11-20T08:15:00.250Z",
    "received_at": "2026-11-20T08:15:05.610Z",
    "settled_at": "2026-11-20T08:15:06.120Z",
    "duration": 5.0,
    "content_type": "video/mp4",
    "size": 707312,
    "trigger": "motion",
    "state": "done",
    "reason": "",
    "attempts": 0,
    "worker": "attic-pi",
    "frames": 25,
    "seconds": 0.42,
    "model": {"schema": 1, "name": "yolox-nano", "sha256": "", "engine": "litert", "fallback": False},
    "available": True,
}

EVENT: dict[str, Any] = {
    "schema": 1,
    "id": "0194a3c0-6d02-7e4b-a1f0-7c9b2e4d6f33",
    "device": "porch",
    "camera": "front",
    "label": "person",
    "category": "person",
    "score": 0.91,
    "box": [0.56, 0.30, 0.15, 0.61],
    "start_time": "2026-11-20T08:15:02.250Z",
    "end_time": "2026-11-20T08:15:07.650Z",
    "picture_time": "2026-11-20T08:15:04.050Z",
    "revision": 3,
    "clips": [CLIP["id"]],
    "recording": CLIP["recording"],
    "has_picture": True,
    "model": CLIP["model"],
    "zones": [],
    "identity": None,
    "alert": False,
    "reason": "",
    "ended": True,
    "kept": False,
    "picture_revision": 2,
}

DEVICE: dict[str, Any] = {
    "device": "porch",
    "label": "Porch",
    "model": "Raspberry Pi 4 Model B Rev 1.5",
    "software": "meerkat 0.1.0",
    "host": "porch-pi",
    "clock": "synced",
    "battery": {"schema": 1, "level": 87.0, "voltage": 3.9, "charging": False},
    "wake_every": None,
    "next_wake": None,
    "availability": "online",
    "error": None,
    "cameras": [
        {
            "schema": 1,
            "name": "front",
            "label": "Front door",
            "width": 1280,
            "height": 720,
            "fps": 15.0,
            "source": "picamera2",
            "motion": False,
            "picture_at": "2026-11-20T08:15:31.000Z",
            "late_after": 180.0,
        }
    ],
    "meters": [],
    "sensors": [{"schema": 1, "name": "hall", "label": "Hall", "kind": "motion", "on": False}],
    "lights": [
        {
            "schema": 1,
            "name": "ir",
            "label": "",
            "kind": "infrared",
            "dimmable": True,
            "on": True,
            "brightness": 80.0,
        }
    ],
    "settings": [],
}

WORKFLOW: dict[str, Any] = {
    "id": "lobby",
    "cameras": {"porch/front": 2, "porch/back": {"fps": 5, "measurement": "device"}},
    "measurement": "detect_faces",
    "feature": "recognise_faces",
    "decision": {"rule": "who_may_be_here", "allowed": ["Ada"], "between": "22:00-06:00"},
    "max_delay": 1.0,
    "shared": True,
    "weight": 1.0,
    "wait": False,
}

METER: dict[str, Any] = {
    "device": "basement",
    "meter": "water",
    "label": "Water",
    "kind": "water",
    "latest": None,
    "layout": True,
    "layout_configured": False,
    "settings_configured": False,
    "waiting": 0,
    "readers": 1,
    "counters": [
        {
            "counter": "",
            "name": "water",
            "unit": "m³",
            "reading": {
                "schema": 1,
                "id": "0194a3c0-5b1e-7c3a-8f00-2b6c1f0d9e11",
                "device": "basement",
                "meter": "water",
                "at": "2026-11-20T08:00:00.000Z",
                "value": 206.9914,
                "total": 206.9914,
                "unit": "m³",
                "flow": 0.012,
                "confidence": 0.97,
                "source": "picture",
                "revision": 1,
            },
            "verdict": {
                "schema": 1,
                "id": "0194a3c0-5b1e-7c3a-8f00-2b6c1f0d9e11",
                "device": "basement",
                "meter": "water",
                "at": "2026-11-20T08:00:00.000Z",
                "verdict": "accepted",
                "reason": "",
                "confidence": 0.97,
                "value": 206.9914,
                "expected": [206.9794, 212.0627],
                "unit": "m³",
                "leak": "",
            },
            "value": 206.9914,
        }
    ],
}
