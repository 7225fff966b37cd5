"""A worker for Python 3.6 with paho-mqtt 1.6: `minimal_worker.py HOST:PORT NAME`. Replace `look`.

It looks on the thread that speaks with the broker, so that a look must take less than a minute.
"""

import collections
import json
import signal
import sys
import threading
import time
import uuid

import paho.mqtt.client as mqtt

TASK, MODEL = "detect_objects", {"schema": 1, "name": "minimal", "engine": "none"}
PAHO_2 = {"callback_api_version": mqtt.CallbackAPIVersion(2)} if hasattr(mqtt, "CallbackAPIVersion") else {}


def look(payload, job):
    """What is in the medium: [(label, score, box)]. Raises ValueError for one that cannot be read."""
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
        will = json.dumps(dict(self.state, schema=1, online=False))
        self.client.will_set(self.root + "state", will, qos=1, retain=True)
        self.client.on_connect, self.client.on_message = self.on_connect, self.on_message
        self.client.connect(address.split(":")[0], int(address.split(":")[1]))

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
        message = json.dumps(dict(message, schema=1))
        return self.client.publish(self.root + kind, message, qos=1, retain=kind == "state")

    def on_connect(self, *_):
        self.client.subscribe(self.root + "jobs", qos=1)
        self.say("state", dict(self.state, online=True))

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
        try:
            found = look(payload, job)
        except ValueError as error:
            return {"state": "failed", "reason": str(error)}
        tracks = []
        for label, score, box in found:
            best, number = {"at": 0.0, "score": score, "box": box}, len(tracks)
            track = {"track": number, "label": label, "score": score, "hits": 1, "best": best}
            tracks.append(dict(track, sightings=[best]))
        return {"state": "done", "tracks": tracks}


Worker(sys.argv[1], sys.argv[2]).run()
