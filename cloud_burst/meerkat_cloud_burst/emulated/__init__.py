"""Cloud burst without an account: an emulator of AWS, and processes of this machine for its instances.

This is an emulator, for the demonstration (`meerkat up --burst-demo`) and for the tests; nothing here
reaches AWS or costs money.

    server      moto's server, which can be taken off the network while its state stays
    emulator    the same as a process of its own, as a test starts, hangs up and ends it
    metadata    what an instance asks about itself at 169.254.169.254, on a loopback port
    instances   a real `meerkat cloud-worker` for each instance that the group holds
    stack       what `meerkat burst deploy` would make, as far as the emulator knows it
"""
