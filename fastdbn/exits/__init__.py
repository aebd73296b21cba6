"""Ways out of fastdbn and into it: ONNX, PyTorch, NumPy, scikit-learn's RBM and the files of the package rbms.

`model.py` describes what a fitted model computes, as stages. Each exit renders the stages in its own operations.
"""
