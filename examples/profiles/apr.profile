# Apache's portable runtime (httpd, Subversion): objects are never freed one by one, they end with their pool. A pool lies in another,
# and ends with it. apr_pcalloc, apr_pstrdup, apr_pmemdup and the like call apr_palloc; apr_psprintf takes its text straight out of
# its pool and is not seen.
#
#   heaptape record --profile examples/profiles/apr.profile -p "$(pidof -s apache2)" -d 60s
#   heaptape report heaptape-PID.tape --allocator apr

allocator apr
library libapr-1.so*
alloc apr_palloc(group=arg1, size=arg2)->ret
new-group apr_pool_create_ex(parent=arg2)->*arg1
new-group apr_pool_create_unmanaged_ex()->*arg1
clear-group apr_pool_clear(group=arg1)
free-group apr_pool_destroy(group=arg1)
