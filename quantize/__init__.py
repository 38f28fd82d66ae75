"""Quantization: a run folder's float network in, an int8 network beside it out."""
