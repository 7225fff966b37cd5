"""Every option of MQTT device discovery that Home Assistant 2026.11.0 knows, by where it may stand.

Read from the validation schemas of its MQTT integration (`schemas.py` for the device, and
DISCOVERY_SCHEMA of each platform's module) in the abbreviations of `abbreviations.py`. Home
Assistant drops an option it does not know without a log line: this table is how a typo is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TOP = set("avty avty_mode avty_t avty_tpl cdevs cmd_t cmps dev e msg_exp_int o".split()) | set(
    "pl_avail pl_not_avail qos stat_t".split()
)
DEVICE = set("cns cu hw ids mdl mdl_id mf name sa sn sw via_device".split())
CHILD = {"cmps", "ids", "name"}
ORIGIN = {"name", "sw", "url"}
AVAILABILITY = {"t", "pl_avail", "pl_not_avail", "val_tpl"}
_EVERY_ENTITY = set(
    "p avty avty_mode avty_t avty_tpl def_ent_id e en ent_cat ent_pic grp ic json_attr_t".split()
) | set("json_attr_tpl msg_exp_int name pl_avail pl_not_avail qos uniq_id vis".split())
ENTITY = {
    "binary_sensor": _EVERY_ENTITY
    | set("dev_cla exp_aft frc_upd off_dly pl_off pl_on stat_t val_tpl".split()),
    "button": _EVERY_ENTITY | set("cmd_t cmd_tpl dev_cla pl_prs ret".split()),
    "camera": _EVERY_ENTITY | {"img_e", "t"},
    "event": _EVERY_ENTITY | {"dev_cla", "evt_typ", "stat_t", "val_tpl"},
    "image": _EVERY_ENTITY | {"cont_type", "img_e", "img_t", "url_t", "url_tpl"},
    "light": _EVERY_ENTITY
    | set(
        "brightness bri_scl clr_temp_k cmd_t effect fx_list flsh flsh_tlng flsh_tsht max_k max_mirs".split()
    )
    | set("max_mirs min_k min_mirs opt ret schema stat_t sup_clrm trns whit_scl".split()),
    "number": _EVERY_ENTITY
    | set("cmd_t cmd_tpl dev_cla max min mode opt pl_rst ret stat_t step unit_of_meas val_tpl".split()),
    "select": _EVERY_ENTITY | set("cmd_t cmd_tpl ops opt ret stat_t val_tpl".split()),
    "switch": _EVERY_ENTITY
    | set("cmd_t cmd_tpl dev_cla opt pl_off pl_on ret stat_off stat_on stat_t val_tpl".split()),
    "device_automation": set("p atype pl qos stype t type val_tpl".split()),
    "sensor": _EVERY_ENTITY
    | set("dev_cla exp_aft frc_upd lrst_val_tpl ops stat_cla stat_t".split())
    | set("sug_dsp_prc unit_of_meas val_tpl".split()),
}
NO_ENTITY = {"device_automation"}
"""Platforms that make no entity: device triggers, of `DISCOVERY_SCHEMA` in device_trigger.py."""
REQUIRED = {
    "device_automation": {"atype", "type", "stype", "t"},
    "button": {"cmd_t"},
    "light": {"cmd_t", "schema"},
    "number": {"cmd_t", "min", "max"},
    "select": {"cmd_t", "ops"},
    "switch": {"cmd_t"},
    "binary_sensor": {"stat_t"},
    "camera": {"t"},
    "event": {"stat_t", "evt_typ"},
    "image": {"img_t", "cont_type"},
    "sensor": {"stat_t"},
}
REFUSED = {("sensor", "config"), ("binary_sensor", "config")}
"""(platform, ent_cat) that Home Assistant rejects."""


def faults(payload: dict[str, Any]) -> Iterator[str]:
    """What Home Assistant would drop silently, or reject, in one device's discovery payload."""
    yield from _unknown("", payload, TOP)
    yield from _unknown("dev", payload["dev"], DEVICE)
    yield from _unknown("o", payload["o"], ORIGIN)
    for item in payload.get("avty", ()):
        yield from _unknown("avty", item, AVAILABILITY)
    groups = [payload, *payload.get("cdevs", ())]
    for child in groups[1:]:
        yield from _unknown("cdevs", child, CHILD)
        for name, component in child["cmps"].items():
            if component["p"] in NO_ENTITY:
                yield f"{name}: a child device has entities only"
    names = [name for group in groups for name in group.get("cmps", {})]
    yield from (f"component id {name} twice" for name in {n for n in names if names.count(n) > 1})
    ids = [identifier for child in groups[1:] for identifier in child["ids"]] + payload["dev"]["ids"]
    yield from (f"identifier {i} twice" for i in {i for i in ids if ids.count(i) > 1})
    for group in groups:
        for name, component in group.get("cmps", {}).items():
            yield from _component(name, component)


def _component(name: str, component: dict[str, Any]) -> Iterator[str]:
    platform = component["p"]
    if set(component) == {"p"}:
        return
    yield from _unknown(name, component, ENTITY[platform])
    identity = set() if platform in NO_ENTITY else {"uniq_id", "def_ent_id"}
    for key in (REQUIRED[platform] | identity) - component.keys():
        yield f"{name}: {key} is missing"
    if (platform, component.get("ent_cat")) in REFUSED:
        yield f"{name}: a {platform} cannot be of category {component['ent_cat']}"
    if component.get("ret"):
        yield f"{name}: its commands would be retained"
    if platform == "number" and not (component["min"] < component["max"] and component["step"] >= 0.001):
        yield f"{name}: Home Assistant takes no number from {component['min']} to {component['max']}"
    if component.get("dev_cla") == "doorbell" and "ring" not in component["evt_typ"]:
        yield f"{name}: a doorbell rings"
    if ("ops" in component) != (platform == "select" or component.get("dev_cla") == "enum"):
        yield f"{name}: options are those of a select or an enum, which have them"
    for item in component.get("avty", ()):
        yield from _unknown(f"{name}.avty", item, AVAILABILITY)
    for key, value in component.items():
        if key in ("t", "stat_t", "img_t", "cmd_t", "json_attr_t") and ("+" in value or "#" in value):
            yield f"{name}: {key} has a wildcard"


def _unknown(where: str, value: dict[str, Any], known: set[str]) -> Iterator[str]:
    yield from (f"{where}: {key} is unknown" for key in sorted(value.keys() - known))
