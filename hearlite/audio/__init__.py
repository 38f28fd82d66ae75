"""Decode recordings to 16 kHz mono, cut them into clips, compute spectrograms, synthesize sounds.

Of hearlite, this package imports only spec, files and errors.
"""

from hearlite.audio.clips import Samples, clip_starts_s, cut, cut_event_zero_padded, from_int16, is_silent, to_int16
from hearlite.audio.decode import SUFFIXES, duration_s, from_array, read_blocks, read_recording
from hearlite.audio.window import Window

__all__ = [
    "SUFFIXES",
    "Samples",
    "Window",
    "clip_starts_s",
    "cut",
    "cut_event_zero_padded",
    "duration_s",
    "from_array",
    "from_int16",
    "is_silent",
    "read_blocks",
    "read_recording",
    "to_int16",
]
