"""Experiments on the other stages: the only room that may import distill and quantize. Nothing imports it."""
