# The allocators of tests/live/custom_calls.c.
allocator z
library custom_calls*
alloc zmalloc(size=arg1)->ret
alloc zcalloc(size=arg1*arg2)->ret
alloc zaligned(size=arg1)->ret
realloc zrealloc(old=arg1, size=arg2)->ret
free zfree(ptr=arg1)
free zfree_aligned(ptr=arg1)

allocator pools
alloc pool_alloc(group=arg1, size=arg2:32)->ret
new-group pool_create(parent=arg2)->*arg1
clear-group pool_clear(group=arg1)
free-group pool_destroy(group=arg1)

allocator slab
alloc slab_get(size=64)->ret
free slab_put(ptr=*arg1)

allocator keep
alloc keep_node(size=16)->ret
free drop_node(ptr=arg1)

allocator handed
alloc xmalloc(size=arg1)->ret
free xfree(ptr=arg1)
