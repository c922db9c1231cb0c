/* Which kernels a processor is offered that lacks a feature: a line "FEATURE: KERNEL..." of those it
 * is not, for every feature that they use; then "nothing: ..." of those left to one without any.
 *
 * Defines what libgcc would have found out about the processor. Where it keeps a feature is found by
 * taking away one bit at a time and asking. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

struct {
    unsigned vendor, type, subtype, features[1];
} __cpu_model;
enum { WORDS = 8 };
unsigned __cpu_features2[WORDS];

int __cpu_indicator_init(void) { return 0; }

bool zf_amx_allowed(void) { return true; }

static void set_all(unsigned bits) {
    __cpu_model.features[0] = bits;
    for (int i = 0; i < WORDS; i++) __cpu_features2[i] = bits;
}

#define FEATURES(each)                                                                             \
    each("popcnt") each("bmi") each("bmi2") each("avx2") each("fma") each("avx512f")               \
    each("avx512bw") each("avx512dq") each("avx512vl") each("avx512vnni") each("avx512bf16")       \
    each("avxvnni") each("amx-tile") each("amx-int8") each("amx-bf16")

static const char *missing(void) {
#define ASK(name)                                                                                  \
    if (!__builtin_cpu_supports(name)) return name;
    FEATURES(ASK)
    return NULL;
}

/* A kernel that is not supported makes no network, whatever it is asked for. */
static void check_refused(const zf_net_kernel *kernel) {
    static const float numbers[ZF_N_FEATURES * 16];
    zf_linear map = {numbers, numbers, 16, 16};
    zf_linear heads = {numbers, numbers, 16, ZF_N_SCORES};
    zf_net_weights w = {{16, 1, false, false}, numbers, numbers, &map, &map, heads, heads};
    zf_net_scales scales = {numbers, numbers, numbers};
    zf_net *net = zf_net_new(&w, kernel, &scales);
    if ((net != NULL) != kernel->supported()) printf("%s is made all the same\n", kernel->name);
    zf_net_free(net);
}

static void print(bool supported) {
    for (const zf_net_kernel *const *k = zf_net_kernels; *k; k++) {
        if ((*k)->supported() == supported) printf(" %s", (*k)->name);
    }
    puts("");
}

int main(void) {
    for (int bit = 0; bit < 32 * (1 + WORDS); bit++) {
        set_all(~0u);
        if (bit < 32) __cpu_model.features[0] &= ~(1u << bit);
        else __cpu_features2[bit / 32 - 1] &= ~(1u << bit % 32);
        const char *name = missing();
        if (!name) continue;
        printf("%s:", name);
        print(false);
    }
    set_all(0);
    printf("nothing:");
    print(true);
    for (const zf_net_kernel *const *k = zf_net_kernels; *k; k++)
        if (!(*k)->supported()) check_refused(*k);
    printf("%s %s\n", zf_net_kernel_for("fp32")->name, zf_net_kernel_for("int8")->name);
    return zf_net_kernel_for("bf16") != NULL;
}
