"""What meerkat.yaml says of a device. Nothing here loads a camera or a library of pictures."""
