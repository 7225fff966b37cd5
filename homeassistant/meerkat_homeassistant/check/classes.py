"""Device classes, their units and state classes, as Home Assistant 2026.11.0 has them.

From the constants of its sensor, number, binary_sensor, button, cover, event, switch, update and valve
components. A unit that does not go with its class rejects the component; a state class that does not,
costs the statistics.
"""

from __future__ import annotations

_UNITS = {
    "absolute_humidity": "g/m³ mg/m³",
    "apparent_power": "VA kVA mVA",
    "aqi": "-",
    "area": "ac cm² ft² ha in² km² mi² mm² m² yd²",
    "atmospheric_pressure": "Pa atm bar cbar hPa inHg inH₂O kPa mPa mbar mmHg psi",
    "battery": "%",
    "blood_glucose_concentration": "mg/dL mmol/L",
    "carbon_dioxide": "ppm",
    "carbon_monoxide": "mg/m³ ppb ppm μg/m³",
    "conductivity": "S/cm mS/cm μS/cm",
    "current": "A mA μA",
    "data_rate": "B/s GB/s Gbit/s GiB/s KiB/s MB/s Mbit/s MiB/s bit/s kB/s kbit/s",
    "data_size": "B EB EiB GB Gbit GiB KiB MB Mbit MiB PB PiB TB TiB YB YiB ZB ZiB bit kB kbit",
    "distance": "cm ft in km m mi mm nmi yd",
    "duration": "d h min ms s μs",
    "energy": "GJ GWh Gcal J MJ MWh Mcal TWh Wh cal kJ kWh kcal mWh thm",
    "energy_distance": "Wh/km kWh/100km km/kWh mi/kWh",
    "energy_storage": "GJ GWh Gcal J MJ MWh Mcal TWh Wh cal kJ kWh kcal mWh thm",
    "frequency": "GHz Hz MHz kHz mHz",
    "gas": "CCF L MCF ft³ m³",
    "humidity": "%",
    "illuminance": "lx",
    "irradiance": "BTU/(h⋅ft²) W/m²",
    "moisture": "%",
    "nitrogen_dioxide": "ppb ppm μg/m³",
    "nitrogen_monoxide": "ppb μg/m³",
    "nitrous_oxide": "μg/m³",
    "ozone": "ppb ppm μg/m³",
    "ph": "-",
    "pm1": "μg/m³",
    "pm10": "μg/m³",
    "pm25": "μg/m³",
    "pm4": "μg/m³",
    "power": "GW MW TW W kW mW",
    "power_factor": "% -",
    "precipitation": "cm in mm",
    "precipitation_intensity": "in/d in/h mm/d mm/h",
    "pressure": "Pa atm bar cbar hPa inHg inH₂O kPa mPa mbar mmHg psi",
    "radon": "Bq/m³ pCi/L",
    "reactive_energy": "kvarh varh",
    "reactive_power": "kvar mvar var",
    "signal_strength": "dB dBm",
    "sound_pressure": "dB dBA",
    "speed": "Beaufort ft/s in/d in/h in/s km/h kn m/min m/s mm/d mm/h mm/s mph",
    "sulphur_dioxide": "ppb μg/m³",
    "temperature": "K °C °F",
    "temperature_delta": "K °C °F",
    "volatile_organic_compounds": "mg/m³ μg/m³",
    "volatile_organic_compounds_parts": "ppb ppm",
    "voltage": "MV V kV mV μV",
    "volume": "CCF L MCF fl._oz. ft³ gal mL m³",
    "volume_flow_rate": "L/h L/min L/s ft³/min gal/d gal/h gal/min mL/s m³/h m³/min m³/s",
    "volume_storage": "CCF L MCF fl._oz. ft³ gal mL m³",
    "water": "CCF L MCF ft³ gal m³",
    "weight": "g kg lb mg oz st μg",
    "wind_direction": "°",
    "wind_speed": "Beaufort ft/s in/s km/h kn m/min m/s mm/s mph",
}
"""`-` is none, `_` a space."""

UNITS: dict[str, frozenset[str]] = {
    name: frozenset("" if unit == "-" else unit.replace("_", " ") for unit in text.split())
    for name, text in _UNITS.items()
}
"""Device class of a sensor or number → units that it takes; "" is none."""

_NO_UNIT = {"date", "enum", "timestamp", "uptime"}
"""Sensors whose state is no number."""

_MEASURED = frozenset({"measurement"})
_ALL = frozenset({"measurement", "measurement_angle", "total", "total_increasing"})
_COUNTED = frozenset({"total", "total_increasing"})
_STATE_CLASSES: dict[str, frozenset[str]] = {
    **dict.fromkeys(("area", "data_size", "distance", "duration", "precipitation"), _ALL),
    **dict.fromkeys(("energy", "gas", "reactive_energy", "volume", "water"), _COUNTED),
    **dict.fromkeys(_NO_UNIT, frozenset()),
    "monetary": frozenset({"total"}),
    "weight": frozenset({"measurement", "total", "total_increasing"}),
    "wind_direction": frozenset({"measurement_angle"}),
}
STATE_CLASSES = _ALL
"""Of any sensor."""

_SENSOR = frozenset(UNITS) | _NO_UNIT | {"monetary"}
CLASSES: dict[str, frozenset[str]] = {
    "sensor": _SENSOR,
    "number": _SENSOR - _NO_UNIT,
    "binary_sensor": frozenset(
        "battery battery_charging carbon_monoxide cold connectivity door garage_door gas glass_break heat "
        "light lock moisture motion moving occupancy opening plug power presence problem running safety "
        "smoke sound tamper update vibration window".split()
    ),
    "button": frozenset({"identify", "restart", "update"}),
    "cover": frozenset("awning blind curtain damper door garage gate shade shutter window".split()),
    "event": frozenset({"button", "doorbell", "motion"}),
    "humidifier": frozenset({"dehumidifier", "humidifier"}),
    "switch": frozenset({"outlet", "switch"}),
    "update": frozenset({"firmware"}),
    "valve": frozenset({"gas", "water"}),
}
"""Platform → the device classes that it knows."""

_OTHER_WORDS = {
    "µ": "μ",
    "mVAr": "mvar",
    "VAr": "var",
    "kVAr": "kvar",
    "VArh": "varh",
    "kVArh": "kvarh",
}


def states_of(device_class: str) -> frozenset[str]:
    """The state classes that go with a sensor's device class."""
    return _STATE_CLASSES.get(device_class, _MEASURED if device_class in UNITS else _ALL)


def is_number(device_class: str) -> bool:
    """Whether the state of a sensor of this class is a number."""
    return device_class in _SENSOR - _NO_UNIT


def unit(name: str) -> str:
    """A unit as Home Assistant writes it: the micro sign becomes the Greek letter."""
    return _OTHER_WORDS.get(name) or name.replace("µ", "μ")
