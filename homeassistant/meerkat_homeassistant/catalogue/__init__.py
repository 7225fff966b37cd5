"""What Home Assistant is shown: one row per entity, in a file for each kind of thing.

Option names are Home Assistant's abbreviations for MQTT discovery (`stat_t` is `state_topic`);
`check/schema.py` lists the ones it knows, because it drops an unknown one without a word. To add an entity,
add a row.
"""

from .camera import CAMERA as CAMERA
from .camera import camera as camera
from .device import BATTERY as BATTERY
from .device import DEVICE as DEVICE
from .device import NEXT_WAKE as NEXT_WAKE
from .device import device as device
from .entity import AVAILABILITY_TEMPLATE as AVAILABILITY_TEMPLATE
from .entity import COMMAND_TEMPLATE as COMMAND_TEMPLATE
from .entity import SAYS_TEMPLATE as SAYS_TEMPLATE
from .entity import Entity as Entity
from .entity import Source as Source
from .events import EVENT_TYPES as EVENT_TYPES
from .events import event_template as event_template
from .hub import BURST as BURST
from .hub import HUB as HUB
from .hub import hub as hub
from .meter import CONDITION as CONDITION
from .meter import METER as METER
from .meter import meter as meter
from .sensor import light as light
from .sensor import sensor as sensor
from .worker import Worker as Worker
from .worker import worker as worker
