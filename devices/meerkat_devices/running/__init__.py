"""The device as a service of the machine: signs of life, systemd, what it runs on."""
