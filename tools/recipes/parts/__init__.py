"""Building blocks of the written programs: plain functions, checked and tested here, copied into a program when it uses them.

Each function is complete in itself: it uses its module's imports, other parts, and nothing of ours.
"""
