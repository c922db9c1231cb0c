/* Kernels against the ones for any processor, on random blocks: compare KERNEL...
 *
 * int8 kernels must give the same bits as int8-baseline; bf16-amx sums in another order than
 * bf16-avx512. Prints a line a kernel, "NAME agrees" or what differs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net_bf16.h"
#include "net_int8.h"

#if ZF_HAS_AMX
bool zf_amx_allowed(void) { return true; }
#endif

enum { BLOCKS = 2 };

static uint64_t state = 1;
static float any(void) { /* -1..1 */
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(state >> 32) / 2147483648.0f;
}

static float *many(size_t n, float spread, float about) {
    float *made = malloc(n * sizeof *made);
    for (size_t i = 0; i < n; i++) made[i] = about + spread * any();
    return made;
}

static void *room(size_t bytes) { /* nothing in it may be counted on */
    void *made = aligned_alloc(64, (bytes + 63) / 64 * 64);
    memset(made, 0xff, bytes);
    return made;
}

typedef struct {
    const zf_net_kernel *kernel;
    void *packed, *scratch;
} made;

static made make(const zf_net_kernel *k, const zf_net_weights *w, const zf_net_scales *s) {
    made m = {k, room(k->packed_bytes(&w->shape)), room(k->scratch_bytes(&w->shape))};
    k->pack(m.packed, w, s);
    return m;
}

/* Largest difference of n rows, as a share of the largest number; -1 if a row is not finite. */
static float gap(const made *a, const made *b, const zf_net_shape *shape, const float *x,
                 size_t n) {
    size_t size = n * shape->width;
    float *one = malloc(size * sizeof *one), *two = malloc(size * sizeof *two);
    float most = 0.0f, largest = 0.0f;
    memcpy(one, x, size * sizeof *x);
    memcpy(two, x, size * sizeof *x);
    a->kernel->run(a->packed, shape, one, n, a->scratch);
    b->kernel->run(b->packed, shape, two, n, b->scratch);
    for (size_t i = 0; i < size; i++) {
        if (!isfinite(one[i]) || !isfinite(two[i])) return -1.0f;
        most = fmaxf(most, fabsf(one[i] - two[i]));
        largest = fmaxf(largest, fabsf(one[i]));
    }
    free(one);
    free(two);
    return most / largest;
}

static void compare(const zf_net_kernel *a, const zf_net_kernel *b, float bound) {
    static const uint32_t widths[] = {16, 48, 64, 80, 144, 272};
    static const size_t counts[] = {1, 2, 3, 5, 7, 16, 17, 33, 64};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        const uint32_t width = widths[i];
        zf_linear maps[2 * BLOCKS];
        for (int k = 0; k < 2 * BLOCKS; k++)
            maps[k] = (zf_linear){many((size_t)width * width, 2.0f / sqrtf((float)width), 0.0f),
                                  many(width, 0.3f, 0.0f), width, width};
        zf_net_weights w = {.shape = {width, BLOCKS, false}, .up = maps, .down = maps + BLOCKS};
        zf_net_scales s = {many((size_t)BLOCKS * width, 1.0f, -2.0f),
                           many((size_t)BLOCKS * width, 1.0f, 2.0f),
                           many((size_t)BLOCKS * width, 1.0f, 1.0f)};
        float *x = many((size_t)ZF_NET_ROWS * width, 3.0f, 0.5f);
        made one = make(a, &w, &s), two = make(b, &w, &s);
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            float found = gap(&one, &two, &w.shape, x, counts[k]);
            if (found >= 0.0f && found <= bound) continue;
            printf("%s differs by %g in %zu rows of %u\n", a->name, found, counts[k], width);
            return;
        }
    }
    printf("%s agrees\n", a->name);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
#if defined(ZF_DOTPROD)
        if (!strcmp(argv[i], "int8-neon-dotprod")) compare(&zf_int8_dotprod, &zf_int8_baseline, 0);
#elif ZF_HAS_AMX
        if (!strcmp(argv[i], "int8-avx-vnni")) compare(&zf_int8_avx_vnni, &zf_int8_baseline, 0);
        if (!strcmp(argv[i], "int8-amx")) compare(&zf_int8_amx, &zf_int8_baseline, 0);
        if (!strcmp(argv[i], "bf16-amx")) compare(&zf_bf16_amx, &zf_bf16_avx512, 0.01f);
#endif
    }
    return 0;
}
