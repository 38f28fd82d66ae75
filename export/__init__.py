"""Export: a run folder in, one self-contained .tflite with its manifest, model card and notice out."""
