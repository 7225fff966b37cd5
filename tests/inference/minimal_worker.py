"""For Python 3.6, paho-mqtt 1.6: `minimal_worker.py mqtt://USER:PASSWORD@HOST:PORT NAME`. Replace `look`."""

import collections
import json
import signal
import sys
import threading
import time
import uuid
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt

TASK, MODEL = "detect_objects", {"schema": 1, "name": "minimal", "engine": "none"}
PAHO_2 = {"callback_api_version": mqtt.CallbackAPIVersion(2)} if hasattr(mqtt, "CallbackAPIVersion") else {}


def look(payload, job):
    """[(label, score, box)] in less than a minute. ValueError: it cannot be read; any other: try again."""
    if not payload:
        raise ValueError("the medium is empty. Send a clip or a picture")
    return [("person", 0.9, [0.4, 0.3, 0.2, 0.5])]


class Worker:
    def __init__(self, address, name):
        self.root, self.incarnation = "meerkat/worker/" + name + "/", str(uuid.uuid4())
        task = {"schema": 1, "task": TASK, "model": MODEL, "frames_per_second": 10.0}  # measure yours
        self.state = {"worker": name, "incarnation": self.incarnation, "tasks": [task], "window": 2}
        self.seen, self.parts = collections.deque(maxlen=500), {}
        self.lock, self.ending = threading.Lock(), threading.Event()
        self.client = mqtt.Client(client_id="meerkat-worker-" + name, protocol=mqtt.MQTTv5, **PAHO_2)
        last = json.dumps(dict(self.state, schema=1, online=False))
        self.client.will_set(self.root + "state", last, qos=1, retain=True)
        self.client.on_connect, self.client.on_message = self.on_connect, self.on_message
        self.client.username_pw_set(address.username, address.password)
        self.client.connect(address.hostname, address.port or 1883)

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: self.ending.set())
        self.client.loop_start()
        self.ending.wait()
        with self.lock:  # the job that runs is answered first
            last = self.say("state", dict(self.state, online=False))
        last.wait_for_publish(3)
        self.client.disconnect()
        self.client.loop_stop()

    def say(self, kind, message):
        return self.client.publish(self.root + kind, json.dumps(dict(message, schema=1)), 1, kind == "state")

    def on_connect(self, client, userdata, flags, reason, *_):
        if reason != 0:
            return print("The broker refuses the connection:", reason, file=sys.stderr, flush=True)
        self.client.subscribe(self.root + "jobs", qos=1)
        return self.say("state", dict(self.state, online=True))

    def on_message(self, client, userdata, message):
        try:
            properties = dict(message.properties.UserProperty)
            job = json.loads(properties["job"])
            answer = {"job": job["job"], "token": job["token"], "incarnation": self.incarnation}
            payload, lease = self.joined(properties, message.payload), job["lease"]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            return self.say("error", {"what": repr(error), "where": message.topic, "at": now})
        if payload is None or (job["job"], job["token"]) in self.seen:
            return None  # parts are missing; or it came twice, as the bus may do
        self.seen.append((job["job"], job["token"]))
        with self.lock:
            begin = time.monotonic()
            answer.update(self.answer(job, payload), model=MODEL, frames=1)
            answer["seconds"] = time.monotonic() - begin
            if answer["seconds"] >= lease:
                answer.update(state="failed", retry=True, reason="it took longer than its lease")
            return self.say("results", answer)

    def joined(self, properties, payload):
        parts = self.parts.setdefault(properties["id"], {})
        parts[int(properties.get("part", 1))] = payload
        if len(parts) < int(properties.get("parts", 1)):
            return None  # others are on their way
        return b"".join(part for _, part in sorted(self.parts.pop(properties["id"]).items()))

    def answer(self, job, payload):
        if self.ending.is_set() or job.get("task", TASK) != TASK:
            return {"state": "failed", "retry": True, "reason": "the worker is ending, or it is not its task"}
        tracks = []
        try:
            for label, score, box in look(payload, job):
                best = {"at": 0.0, "score": float(score), "box": [float(side) for side in box]}
                track = {"track": len(tracks), "label": str(label), "score": best["score"], "hits": 1}
                tracks.append(dict(track, best=best, sightings=[best]))
        except Exception as error:  # noqa: BLE001 - whatever it is, the hub is told and the next job is done
            reason = type(error).__name__ + ": " + str(error)
            return {"state": "failed", "retry": not isinstance(error, ValueError), "reason": reason}
        return {"state": "done", "tracks": tracks}


Worker(urlsplit(sys.argv[1]), sys.argv[2]).run()
