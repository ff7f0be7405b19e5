# CPython 3.8 and later: the allocators of objects (PyObject_) and of the interpreter's own buffers (PyMem_). Both take what is up to
# 512 bytes out of arenas that are mapped 256 KiB or 1 MiB at a time, and leave all else to malloc. PyMem_Raw is always malloc: it
# needs no line here.
#
#   heaptape record --profile examples/profiles/python.profile -- python3 app.py
#   heaptape report heaptape-PID.tape --allocator python

allocator python
alloc PyObject_Malloc(size=arg1)->ret
alloc PyObject_Calloc(size=arg1*arg2)->ret
realloc PyObject_Realloc(old=arg1, size=arg2)->ret
free PyObject_Free(ptr=arg1)
alloc PyMem_Malloc(size=arg1)->ret
alloc PyMem_Calloc(size=arg1*arg2)->ret
realloc PyMem_Realloc(old=arg1, size=arg2)->ret
free PyMem_Free(ptr=arg1)
