"""A file on a phone, or an emulated one, over adb. May import cost, arm and report, and what those may."""
