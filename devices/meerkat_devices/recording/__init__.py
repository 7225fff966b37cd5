"""Which packets become which clip, and how a clip is written."""
