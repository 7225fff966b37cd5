"""Where the hub meets the world: database, media files, MQTT."""
