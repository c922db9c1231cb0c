/* See net_amx.h. */
#define _DEFAULT_SOURCE /* syscall */
#include "net_amx.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

bool zf_amx_allowed(void) {
#if defined(__linux__) && defined(SYS_arch_prctl)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}
