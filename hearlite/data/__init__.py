"""Datasets: manifests to clips split by subject, embeddings and records of clips as Parquet files."""
