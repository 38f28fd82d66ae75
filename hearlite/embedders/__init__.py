"""Models that turn clips into vectors: teachers, baselines and .tflite files, with one interface."""
