"""One module per inference runtime; each is imported only when it is used."""
