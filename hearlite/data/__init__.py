"""Datasets: clips of recordings, split by subject, and Parquet files of their embeddings and records."""
