/* One instruction set of instruction_sets.h: what it says that a body has, and the body. */
#define SET_INLINE static inline __attribute__((always_inline, unused)) SET_TARGET
#define vec SET(zf_vec)
#define ivec SET(zf_ivec)
#define load SET(zf_load)
#define store SET(zf_store)
#define each SET(zf_each)
#define sum_of_lanes SET(zf_sum_of_lanes)

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));

SET_INLINE vec load(const float *from) {
    vec made;
    memcpy(&made, from, sizeof made);
    return made;
}

SET_INLINE void store(float *to, vec v) { memcpy(to, &v, sizeof v); }

SET_INLINE vec each(float x) { return x - (vec){0}; }

/* Halves onto halves until one is left. */
SET_INLINE float sum_of_lanes(vec v) {
    floats4 four = QUARTERS(v);
    return (four[0] + four[2]) + (four[1] + four[3]);
}

#include INSTRUCTION_SETS_BODY

#undef SET
#undef SET_TARGET
#undef SET_INLINE
#undef LANES
#undef MANY_REGISTERS
#undef QUARTERS
#undef MADD
#undef vec
#undef ivec
#undef load
#undef store
#undef each
#undef sum_of_lanes
