"""`meerkat cloud-worker`: the machine that is rented, or another PC of the owner."""
