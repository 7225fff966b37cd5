"""`python -m meerkat_cli` is `meerkat`: how the supervisor starts its children."""

from .main import main

main()
