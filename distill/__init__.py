"""Distillation: recordings and a teacher in, a run folder with a trained student out."""
