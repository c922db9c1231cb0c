"""Work of known size, defined once, for `zebfast bench`, the speed suite and `make gate`.

Also how a machine's fastest settings for self-play are found and remembered.
"""
