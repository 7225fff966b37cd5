"""The session's usual client: paho-mqtt, driven by the session's own loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from .errors import BrokerError
from .session_sockets import prepare, tls_context
from .session_transport import Accepted, Acknowledged, Ended, Event, Granted, Hello, Message


class PackedProperties(Properties):
    """Properties of a PUBLISH whose bytes are known: paho's own cost more than the rest of it."""

    def __init__(self, packed: bytes) -> None:
        object.__setattr__(self, "packetType", PacketTypes.PUBLISH)
        object.__setattr__(self, "names", {})
        object.__setattr__(self, "packed", packed)

    def pack(self) -> bytes:
        return object.__getattribute__(self, "packed")  # type: ignore[no-any-return]


def _empty(packet_type: int) -> Properties:
    return Properties(packet_type)  # type: ignore[no-untyped-call]


class PahoTransport:
    """See `session_transport.Transport`. paho's callbacks hold its locks, so they only take notes."""

    def __init__(self, hello: Hello) -> None:
        """Raises UsageError when the CA file cannot be used."""
        self.events: deque[Event] = deque()
        self.failure: BrokerError | None = None
        self._send_buffer = hello.send_buffer
        self._client = client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=hello.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = hello.connect_timeout
        client.max_inflight_messages_set(0)  # the window is ours: paho cannot change its own once connected
        client.on_connect = self._note_connack
        client.on_disconnect = self._note_disconnect
        client.on_message = self._note_message
        client.on_subscribe = self._note_suback
        client.on_socket_open = self._prepare
        connection = hello.connection
        if connection.username is not None:
            client.username_pw_set(connection.username, connection.password)
        if will := hello.will:
            client.will_set(str(will.topic), will.payload, will.qos, will.retain)
        if connection.tls:
            client.tls_set_context(tls_context(connection))
        properties = _empty(PacketTypes.CONNECT)
        properties.ReceiveMaximum = hello.receive_maximum
        if hello.session_expiry:
            properties.SessionExpiryInterval = hello.session_expiry
        client.connect_async(
            connection.host,
            connection.port,
            hello.keep_alive,
            clean_start=not hello.session_expiry,
            properties=properties,
        )

    @property
    def socket(self) -> Any:
        return self._client.socket()

    @property
    def blocked(self) -> bool:
        return self._client.want_write()

    def open(self) -> None:
        self.events.clear()
        self._client.reconnect()

    def close(self) -> None:
        client = self._client
        client.on_disconnect = None
        if sock := client.socket():
            sock.close()
            client.loop_read()  # paho notices, and forgets the socket
        client.on_disconnect = self._note_disconnect
        client.drop_out_messages()

    def read(self) -> bool:
        client = self._client
        client.on_publish = self._note_puback  # set for PUBACKs alone: it is costly and useless at QoS 0
        client.loop_read()
        client.on_publish = None
        return False  # it reads packet by packet, and all that is there

    def flush(self) -> bool:
        if self._client.want_write():
            self._client.loop_write()
        return not self._client.want_write()

    def check(self, now: float) -> None:
        del now  # paho has its own clock
        self._client.loop_misc()

    def subscribe(self, topic: str, *, qos: int, no_local: bool, identifier: int | None) -> int:
        properties = None
        if identifier is not None:
            properties = _empty(PacketTypes.SUBSCRIBE)
            properties.SubscriptionIdentifier = identifier
        options = SubscribeOptions(qos=qos, noLocal=no_local)
        _, mid = self._client.subscribe(topic, options=options, properties=properties)
        return mid or 0

    def unsubscribe(self, topic: str) -> None:
        self._client.unsubscribe(topic)

    def publish(
        self, topic: str, payload: bytes | bytearray | memoryview, qos: int, retain: bool, properties: bytes
    ) -> object:
        data = payload if isinstance(payload, bytes) else bytes(payload)
        packed = PackedProperties(properties) if properties else None
        info = self._client.publish(topic, data, qos, retain, packed)
        if info.rc != 0:
            return None
        return info.mid if qos else info

    def is_written(self, ticket: MQTTMessageInfo) -> bool:
        return ticket.is_published()

    def acknowledge(self, mids: Sequence[int]) -> None:
        for mid in mids:
            self._client.ack(mid, 1)

    def disconnect(self) -> None:
        self._client.disconnect()

    # --- what paho tells --------------------------------------------------------------------------

    def _prepare(self, _client: Client, _data: Any, sock: Any) -> None:
        prepare(sock, self._send_buffer)

    def _note_connack(
        self, _client: Client, _data: Any, _flags: ConnectFlags, reason: ReasonCode, said: Properties | None
    ) -> None:
        self.events.append(
            Accepted(
                reason.value,
                receive_maximum=getattr(said, "ReceiveMaximum", 65_535),
                maximum_packet_size=getattr(said, "MaximumPacketSize", None),
                maximum_qos=getattr(said, "MaximumQoS", 2),
                retain_available=bool(getattr(said, "RetainAvailable", 1)),
                identifiers_available=bool(getattr(said, "SubscriptionIdentifierAvailable", 1)),
            )
        )

    def _note_disconnect(
        self,
        _client: Client,
        _data: Any,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _said: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self.events.append(Ended(reason.value))

    def _note_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        try:
            topic: str | None = message.topic
        except UnicodeDecodeError:
            topic = None
        said = message.properties
        self.events.append(
            Message(
                topic,
                bytes(message.payload),  # bytes already: no copy
                getattr(said, "UserProperty", []),
                getattr(said, "ContentType", ""),
                getattr(said, "SubscriptionIdentifier", []),
                message.retain,
                message.qos,
                message.mid,
            )
        )

    def _note_puback(
        self, _client: Client, _data: Any, mid: int, reason: ReasonCode, _said: Properties
    ) -> None:
        self.events.append(Acknowledged(mid, reason.value))

    def _note_suback(
        self, _client: Client, _data: Any, mid: int, reasons: list[ReasonCode], _said: Properties | None
    ) -> None:
        self.events.append(Granted(mid, reasons[0].value))
