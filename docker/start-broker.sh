#!/bin/sh
# Makes the password file from the environment, then becomes Mosquitto.
set -eu
passwords=/mosquitto/data/passwords
umask 077
: >"$passwords"
mosquitto_passwd -b "$passwords" hub "$HUB_PASSWORD"
mosquitto_passwd -b "$passwords" worker "$WORKER_PASSWORD"
mosquitto_passwd -b "$passwords" homeassistant "$HOMEASSISTANT_PASSWORD"
mosquitto_passwd -b "$passwords" device-porch "$PORCH_PASSWORD"
# Mosquitto drops root's rights before it reads the file again.
chown -R mosquitto:mosquitto /mosquitto/data
exec mosquitto -c /mosquitto/config/mosquitto.conf
