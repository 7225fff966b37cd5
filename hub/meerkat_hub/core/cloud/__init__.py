"""The cloud burst: which clips go out, what comes back, and what it may cost."""
