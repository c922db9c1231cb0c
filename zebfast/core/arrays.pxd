# Arrays of what lies in C's own records.
cdef columns(const void *first, Py_ssize_t step, Py_ssize_t n, object dtype, tuple shape=*)
