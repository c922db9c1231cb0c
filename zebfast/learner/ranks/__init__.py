"""One learner on several processes: rank 0 is the learner, the others help it to train.

``place`` says where a process stands, ``group`` is what joins them, ``leader`` what rank 0 tells
the others, and ``supervisor`` begins them on one machine and begins them anew.
"""
