"""Benchmarks: what a small embedder keeps (AUROC) and what it costs (size, latency), as results.json and a report."""
