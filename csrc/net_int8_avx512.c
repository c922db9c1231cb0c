/* int8 blocks with AVX-512 VNNI: 64 products an instruction. */
#include "net_int8.h"

#if defined(__x86_64__)
#pragma GCC diagnostic ignored "-Wpsabi"
#include <immintrin.h>
#include <string.h>

#include "platform.h"

#define INT8(name) name##_avx512_vnni
#define INT8_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#include "net_int8_vnni.h"

static bool INT8(supported)(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

const zf_net_kernel zf_int8_avx512_vnni = {
    "int8-avx512-vnni", "int8", INT8(supported), zf_int8_packed_bytes, zf_int8_pack,
    zf_int8_scratch_bytes, INT8(run),
};
#endif
