"""A file on a phone, or an emulated one, over adb. May import tasks, stats, schema, report, cost and arm."""
