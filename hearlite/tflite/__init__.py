"""Read, run, build and edit .tflite files.

Layers of modules: model_file -> builder -> joining, slicing, graph, classifier. The interpreter module depends on none
of them; convert needs TensorFlow.
"""
