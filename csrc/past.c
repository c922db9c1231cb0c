#include "past.h"

#include "observe.h"

/* The number of the last observation of obs[0..n], which is dropped if it is among those before. */
ZF_INLINE uint32_t number_of(const zf_obs *obs, uint32_t n, uint32_t *table, size_t n_places) {
    size_t at = zf_obs_hash(&obs[n]) & (n_places - 1);
    for (; table[at]; at = (at + 1) & (n_places - 1))
        if (memcmp(&obs[table[at] - 1], &obs[n], sizeof *obs) == 0) return table[at] - 1;
    table[at] = n + 1;
    return n;
}

ZF_HOT size_t zf_past_choices(const zf_state *s, size_t n, zf_obs *obs,
                              int32_t (*asked)[ZF_N_PLIES], uint32_t *table, size_t n_places) {
    uint32_t found = 0;
    memset(table, 0, n_places * sizeof *table); /* numbers + 1; 0 = nobody lives here */
    for (size_t i = 0; i < n; i++) {
        zf_state past;
        zf_init(&past, s[i].dealt, s[i].decl, s[i].first_leader);
        past.contract = s[i].contract;
        for (int ply = 0; ply < ZF_N_PLIES; ply++) {
            asked[i][ply] = -1;
            if (ply >= s[i].n_plays) continue;
            uint32_t domino = s[i].plays[ply] & 31u, legal = zf_legal(&past);
            if (past.to_play != s[i].to_play && (legal & (legal - 1))) {
                uint32_t below = past.dealt[past.to_play] & ((1u << domino) - 1);
                zf_observe(&obs[found], &past);
                uint32_t number = number_of(obs, found, table, n_places);
                found += number == found;
                asked[i][ply] = (int32_t)(8 * number + (uint32_t)__builtin_popcount(below));
            }
            zf_play(&past, domino);
        }
    }
    return found;
}
