"""Robustness of probes to changed test clips: gain, shift, padding, band limits, devices, noise."""
