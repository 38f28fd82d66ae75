"""Exported files as ONNX: the same network, operator by operator, for onnxruntime on any platform."""
