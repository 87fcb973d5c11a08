"""The drawings of the pages on how it decides, each made from the code or from a run of it.

`python -m docs.drawings` draws them all anew; `tests/docs/test_drawings.py` fails when one is not as the code draws it.
"""
