"""The hub's decisions, without I/O: `HubCore.step(input, now)` returns changes and effects.

Layers, from the ground: records (what the hub knows), inputs and outputs (what enters and leaves),
dispatch and objects (policies), machine (the one entry point).
"""
