"""From what is on the bus to what Home Assistant is told: a pure function.

One message per Meerkat device. What hangs on it (cameras, meters, sensors, lights) are its child devices;
the hub and each worker are devices of their own, and all others point to the hub. Conventions: Home
Assistant 2026.11, MQTT device discovery.
"""

from .bus import Bus as Bus
from .components import Payload as Payload
from .objects import HUB_OBJECT as HUB_OBJECT
from .objects import called as called
from .objects import config_topic as config_topic
from .objects import device_object as device_object
from .objects import device_of as device_of
from .objects import object_of as object_of
from .objects import restore_words as restore_words
from .objects import worker_object as worker_object
from .payloads import discovery as discovery
from .payloads import to_json as to_json
