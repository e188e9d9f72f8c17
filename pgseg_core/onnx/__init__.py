"""A model as ONNX files, and photos segmented with them by ONNX Runtime and numpy.

Torch is needed to export and for nothing after that: `export.py` alone imports it.
"""
