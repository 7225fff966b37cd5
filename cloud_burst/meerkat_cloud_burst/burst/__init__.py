"""`meerkat burst`: set up, look at, stop and tear down."""
