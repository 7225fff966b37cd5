"""`meerkat device init`: from a new machine to a meerkat.yaml that was seen to work.

hub_search   the hub, by multicast DNS
connecting   the broker: does it let us in, is there a hub
finding      the cameras of this machine
trying       a picture, a lamp, a motion sensor
file         meerkat.yaml, with what was there before
questions    what is asked of the person, or taken from the options
walk         one after another
"""
