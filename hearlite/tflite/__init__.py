"""All that reads, runs, builds or edits .tflite files: flatbuffers as objects, slices, joins, conversion, metadata, the
interpreter.

model_file -> builder -> joining, slicing, graph, classifier; interpreter stands alone; convert needs TensorFlow.
"""
