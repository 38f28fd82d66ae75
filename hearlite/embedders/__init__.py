"""Everything that turns clips into vectors: teachers, baselines and .tflite files behind one interface."""
