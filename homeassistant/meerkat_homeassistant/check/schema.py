"""Every option that Home Assistant's MQTT integration knows, by where it may stand.

Read out of Home Assistant 2026.11.0: DEVICE_DISCOVERY_SCHEMA of its `schemas.py`, and DISCOVERY_SCHEMA of
each platform's module. An option that a component's platform does not know is dropped without a log
line, so nothing but a table like this one shows a typo. At the top of a message, in its device, its origin
and its availability, an unknown option rejects all of it.

`!` marks what must be there. Names are the long ones; `abbreviations` has the short ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EVERY = (
    "availability availability_mode availability_template availability_topic "
    "default_entity_id device enabled_by_default encoding entity_category entity_picture "
    "group icon json_attributes_template json_attributes_topic message_expiry_interval origin "
    "payload_available payload_not_available qos unique_id visible_by_default"
)
"""Of every entity."""

_OPTIONS = {
    "alarm_control_panel": (
        "code code_arm_required code_disarm_required code_trigger_required command_template "
        "command_topic! name payload_arm_away payload_arm_custom_bypass payload_arm_home "
        "payload_arm_night payload_arm_vacation payload_disarm payload_trigger retain state_topic! "
        "supported_features value_template"
    ),
    "binary_sensor": (
        "device_class expire_after force_update name off_delay payload_off payload_on state_topic! "
        "value_template"
    ),
    "button": "command_template command_topic! device_class name payload_press retain",
    "camera": "image_encoding name topic!",
    "climate": (
        "action_template action_topic current_humidity_template current_humidity_topic "
        "current_temperature_template current_temperature_topic fan_mode_command_template "
        "fan_mode_command_topic fan_mode_state_template fan_mode_state_topic fan_modes initial "
        "max_humidity max_temp min_humidity min_temp mode_command_template mode_command_topic "
        "mode_state_template mode_state_topic modes name optimistic payload_off payload_on "
        "power_command_template power_command_topic precision preset_mode_command_template "
        "preset_mode_command_topic preset_mode_state_topic preset_mode_value_template preset_modes "
        "retain swing_horizontal_mode_command_template swing_horizontal_mode_command_topic "
        "swing_horizontal_mode_state_template swing_horizontal_mode_state_topic "
        "swing_horizontal_modes swing_mode_command_template swing_mode_command_topic "
        "swing_mode_state_template swing_mode_state_topic swing_modes "
        "target_humidity_command_template target_humidity_command_topic "
        "target_humidity_state_template target_humidity_state_topic temp_step "
        "temperature_command_template temperature_command_topic temperature_high_command_template "
        "temperature_high_command_topic temperature_high_state_template temperature_high_state_topic "
        "temperature_low_command_template temperature_low_command_topic "
        "temperature_low_state_template temperature_low_state_topic temperature_state_template "
        "temperature_state_topic temperature_unit value_template"
    ),
    "cover": (
        "command_topic device_class name optimistic payload_close payload_open payload_stop "
        "payload_stop_tilt position_closed position_open position_template position_topic retain "
        "set_position_template set_position_topic state_closed state_closing state_open state_opening "
        "state_stopped state_topic tilt_closed_value tilt_command_template tilt_command_topic "
        "tilt_max tilt_min tilt_opened_value tilt_optimistic tilt_status_template tilt_status_topic "
        "value_template"
    ),
    "date": "command_template command_topic! name optimistic retain state_topic value_template",
    "datetime": "command_template command_topic! name optimistic retain state_topic timezone value_template",
    "device_automation": (
        "automation_type! device! encoding group payload qos subtype! topic! type! value_template"
    ),
    "device_tracker": (
        "name payload_home payload_not_home payload_reset source_type state_topic value_template"
    ),
    "event": "device_class event_types! name state_topic! value_template",
    "fan": (
        "command_template command_topic! direction_command_template direction_command_topic "
        "direction_state_topic direction_value_template name optimistic oscillation_command_template "
        "oscillation_command_topic oscillation_state_topic oscillation_value_template payload_off "
        "payload_on payload_oscillation_off payload_oscillation_on payload_reset_percentage "
        "payload_reset_preset_mode percentage_command_template percentage_command_topic "
        "percentage_state_topic percentage_value_template preset_mode_command_template "
        "preset_mode_command_topic preset_mode_state_topic preset_mode_value_template preset_modes "
        "retain speed_range_max speed_range_min state_topic state_value_template"
    ),
    "humidifier": (
        "action_template action_topic command_template command_topic! current_humidity_template "
        "current_humidity_topic device_class max_humidity min_humidity mode_command_template "
        "mode_command_topic mode_state_template mode_state_topic modes name optimistic payload_off "
        "payload_on payload_reset_humidity payload_reset_mode retain state_topic state_value_template "
        "target_humidity_command_template target_humidity_command_topic! "
        "target_humidity_state_template target_humidity_state_topic"
    ),
    "image": "content_type image_encoding image_topic name url_template url_topic",
    "infrared": "command_template command_topic name retain schema! state_topic value_template",
    "lawn_mower": (
        "activity_state_topic activity_value_template dock_command_template dock_command_topic name "
        "optimistic pause_command_template pause_command_topic retain start_mowing_command_template "
        "start_mowing_command_topic stop_command_template stop_command_topic"
    ),
    "light_schema_basic": (
        "brightness_command_template brightness_command_topic brightness_scale brightness_state_topic "
        "brightness_value_template color_mode_state_topic color_mode_value_template "
        "color_temp_command_template color_temp_command_topic color_temp_kelvin "
        "color_temp_state_topic color_temp_value_template command_topic! effect_command_template "
        "effect_command_topic effect_list effect_state_topic effect_value_template "
        "hs_command_template hs_command_topic hs_state_topic hs_value_template max_kelvin max_mireds "
        "min_kelvin min_mireds name on_command_type optimistic payload_off payload_on retain "
        "rgb_command_template rgb_command_topic rgb_state_topic rgb_value_template "
        "rgbw_command_template rgbw_command_topic rgbw_state_topic rgbw_value_template "
        "rgbww_command_template rgbww_command_topic rgbww_state_topic rgbww_value_template schema "
        "state_topic state_value_template white_command_topic white_scale xy_command_template "
        "xy_command_topic xy_state_topic xy_value_template"
    ),
    "light_schema_json": (
        "brightness brightness_scale color_temp_kelvin command_topic! effect effect_list flash "
        "flash_time_long flash_time_short max_kelvin max_mireds min_kelvin min_mireds name optimistic "
        "retain schema state_topic supported_color_modes transition white_scale"
    ),
    "light_schema_template": (
        "blue_template brightness_template color_temp_kelvin color_temp_template "
        "command_off_template! command_on_template! command_topic! effect_list effect_template "
        "green_template max_kelvin max_mireds min_kelvin min_mireds name optimistic red_template "
        "retain schema state_template state_topic"
    ),
    "lock": (
        "code_format command_template command_topic! name optimistic payload_lock payload_open "
        "payload_reset payload_unlock retain state_jammed state_locked state_locking state_open "
        "state_opening state_topic state_unlocked state_unlocking value_template"
    ),
    "notify": "command_template command_topic! name retain",
    "number": (
        "command_template command_topic! device_class max min mode name optimistic payload_reset "
        "retain state_topic step unit_of_measurement value_template"
    ),
    "scene": "command_topic! name payload_on retain",
    "select": "command_template command_topic! name optimistic options! retain state_topic value_template",
    "sensor": (
        "device_class expire_after force_update last_reset_value_template name options state_class "
        "state_topic! suggested_display_precision unit_of_measurement value_template"
    ),
    "siren": (
        "available_tones command_off_template command_template command_topic! name optimistic "
        "payload_off payload_on retain state_off state_on state_topic state_value_template "
        "support_duration support_volume_set"
    ),
    "switch": (
        "command_template command_topic! device_class name optimistic payload_off payload_on retain "
        "state_off state_on state_topic value_template"
    ),
    "tag": "device encoding group qos topic! value_template",
    "text": (
        "command_template command_topic! max min mode name optimistic pattern retain state_topic "
        "value_template"
    ),
    "time": "command_template command_topic! name optimistic retain state_topic value_template",
    "update": (
        "command_topic device_class display_precision latest_version_template latest_version_topic "
        "name payload_install release_summary release_url retain state_topic! title value_template"
    ),
    "vacuum": (
        "clean_segments_command_template clean_segments_command_topic command_topic fan_speed_list "
        "name payload_clean_spot payload_locate payload_pause payload_return_to_base payload_start "
        "payload_stop retain send_command_topic set_fan_speed_topic state_topic supported_features"
    ),
    "valve": (
        "command_template command_topic device_class name optimistic payload_close payload_open "
        "payload_stop position_closed position_open reports_position retain state_closed "
        "state_closing state_open state_opening state_topic value_template"
    ),
    "water_heater": (
        "current_temperature_template current_temperature_topic initial max_temp min_temp "
        "mode_command_template mode_command_topic mode_state_template mode_state_topic modes name "
        "optimistic payload_off payload_on power_command_template power_command_topic precision "
        "retain temperature_command_template temperature_command_topic temperature_state_template "
        "temperature_state_topic temperature_unit value_template"
    ),
}
"""Of a platform, beside those of every entity; a light's depend on its `schema`."""


def _names(text: str) -> frozenset[str]:
    return frozenset(name.rstrip("!") for name in text.split())


TOP = _names(
    "availability availability_mode availability_template availability_topic child_devices command_topic "
    "components device encoding message_expiry_interval origin payload_available payload_not_available qos "
    "state_topic"
)
SHARED = TOP - {"child_devices", "components", "device", "origin"}
"""What a component inherits unless it says so itself."""

DEVICE = _names(
    "identifiers connections manufacturer model model_id name hw_version serial_number sw_version via_device "
    "suggested_area configuration_url"
)
DEVICE_OF_ONE = DEVICE | {"child_device"}
"""Of a message that describes one entity alone."""

GONE = frozenset({"via_hub"})
"""Options of a device that are taken and ignored."""

CHILD = frozenset({"components", "identifiers", "name"})
ORIGIN = frozenset({"name", "sw_version", "support_url"})
AVAILABILITY = frozenset({"topic", "payload_available", "payload_not_available", "value_template"})

NOT_ENTITIES = frozenset({"device_automation", "tag"})
"""Components without an entity: they need no `unique_id`, and a child device cannot have them."""

_NO_OTHERS = frozenset({"platform", "~"})

PLATFORMS = frozenset(name.partition("_schema_")[0] for name in _OPTIONS)


def key(platform: str, options: Mapping[str, Any]) -> str:
    """Where the table has a component of `platform` with `options`; lights are of three kinds."""
    return f"light_schema_{options.get('schema', 'basic')}" if platform == "light" else platform


def known(platform: str, options: Mapping[str, Any]) -> frozenset[str] | None:
    """The names that a component may have, or None if there is no such platform, or no such light."""
    text = _OPTIONS.get(key(platform, options))
    if text is None:
        return None
    return _names(text) | _NO_OTHERS | (frozenset() if platform in NOT_ENTITIES else _names(_EVERY))


def required(platform: str, options: Mapping[str, Any]) -> frozenset[str]:
    """What it cannot do without, its own or shared; `unique_id` and the like not counted."""
    text = _OPTIONS.get(key(platform, options), "")
    return frozenset(name.rstrip("!") for name in text.split() if name.endswith("!"))
