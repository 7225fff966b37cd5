"""Where pictures come from: files, streams, USB, HTTP, the ribbon cable, drawn scenes."""
