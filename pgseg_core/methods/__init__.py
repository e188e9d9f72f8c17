"""How pixels and words become vectors that can be compared: one file a method.

`method.py` is the contract. Importing this package loads no torch.
"""
