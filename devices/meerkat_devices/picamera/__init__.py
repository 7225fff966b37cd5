"""Cameras on the Pi's ribbon cable, through picamera2 and libcamera.

    library     the import of picamera2, and what its errors mean in words
    board       one physical camera, open: shared by a camera and a meter of this device
    feed        from picamera2's threads to the camera's own: bounded, the newest frame wins
    source      the ring of H.264 and the low-resolution pictures (a `Source`)
    still       single pictures with the exposure held fast (a `StillCamera`)
    detections  what an IMX500 found on its sensor

picamera2 comes with Raspberry Pi OS and is imported when such a camera is opened, not before.
"""
