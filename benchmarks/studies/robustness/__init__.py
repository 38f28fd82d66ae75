"""Test clips changed in known ways: gain, shift, padding, band limits, devices, noise."""
