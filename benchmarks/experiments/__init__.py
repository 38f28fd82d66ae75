"""Experiments on distillation and quantization.

The only folder of benchmarks that may import distill and quantize; nothing imports it.
"""
