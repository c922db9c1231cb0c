/* Checks of the C core that need no Python: built and run alone, also under the sanitizers.
 *
 *   gcc -std=c11 -O1 -g -fsanitize=address,undefined -DZF_NO_CLONES csrc/[a-z]*.c -lm -pthread */
#include <stdio.h>
#include <stdlib.h>

#include "engine.h"
#include "rng.h"
#include "selfplay.h"

#define CHECK(what)                                                        \
    do {                                                                   \
        if (!(what)) {                                                     \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);     \
            exit(1);                                                       \
        }                                                                  \
    } while (0)

static void test_rng(void) {
    /* The first outputs of SplitMix64 for the state 1234567, as published with it. */
    CHECK(zf_bits(1234567, 0) == 6457827717110365317ull);
    CHECK(zf_bits(1234567, 1) == 3203168211198807973ull);
}

static void test_tables(void) {
    int count = 0;
    for (int d = 0; d < ZF_N_DOMINOES; d++) count += zf_count[d];
    CHECK(count == 35);
    for (int decl = 0; decl < ZF_N_DECLARATIONS; decl++)
        for (int d = 0; d < ZF_N_DOMINOES; d++)
            CHECK(zf_follow[decl][zf_led_suit[decl][d]] >> d & 1); /* a lead follows itself */
}

static void test_bits(void) {
    for (uint32_t mask = 1; mask < 128; mask++) {
        uint32_t n = (uint32_t)__builtin_popcount(mask), seen = 0;
        for (uint32_t r = 0; r < n; r++) seen |= 1u << zf_select(mask, r, 7);
        CHECK(seen == mask);
        CHECK(zf_compress(mask, mask) == (1u << n) - 1);
    }
}

static void test_games_and_undo(void) {
    for (uint64_t game = 0; game < 500; game++) {
        zf_state s, was[ZF_N_PLIES];
        zf_deal(&s, 7, ZF_STREAM_DEAL, game);
        CHECK((s.hand[0] | s.hand[1] | s.hand[2] | s.hand[3]) == ZF_ALL_DOMINOES);
        for (int ply = 0; ply < ZF_N_PLIES; ply++) {
            was[ply] = s;
            uint32_t legal = zf_legal(&s);
            CHECK(legal && (legal & ~s.hand[s.to_play]) == 0);
            uint32_t n = (uint32_t)__builtin_popcount(legal);
            zf_play(&s, zf_select(legal, zf_bounded(game, (uint64_t)ply, n), 7));
        }
        CHECK(zf_over(&s) && zf_legal(&s) == 0 && s.points[0] + s.points[1] == 42);
        for (int ply = ZF_N_PLIES; ply-- > 0;) {
            zf_undo(&s);
            CHECK(s.to_play == was[ply].to_play && s.n_plays == was[ply].n_plays);
            CHECK(memcmp(s.hand, was[ply].hand, sizeof s.hand) == 0);
            CHECK(memcmp(s.points, was[ply].points, sizeof s.points) == 0);
        }
    }
    uint8_t points[100];
    zf_random_games(points, 100, 1, 0);
    for (int i = 0; i < 100; i++) CHECK(points[i] <= 42);
}

/* Plays n games and returns a sum over the records; the trees are checked on the way. */
static uint64_t play(uint32_t n_trees, uint32_t max_nodes, uint64_t n_games) {
    zf_selfplay_config config = {
        .search = {.c_puct = 1.4f, .n_simulations = 40, .max_nodes = max_nodes,
                   .temperature = 1.0f, .noise_alpha = 0.5f, .noise_fraction = 0.25f},
        .seed = 3, .stride = 1, .n_trees = n_trees, .worlds = ZF_WORLDS_TRUE};
    zf_selfplay *f = zf_selfplay_new(&config);
    zf_game *records = calloc(n_games, sizeof *records);
    uint8_t *done = calloc(n_games, 1);
    zf_obs *leaves = calloc(n_trees, sizeof *leaves);
    float *evals = calloc(n_trees, 8 * sizeof *evals);
    CHECK(f && records && done && leaves && evals);
    zf_selfplay_limit(f, n_games, records, done, n_games);
    for (size_t n; (n = zf_selfplay_select(f, leaves)) > 0;) {
        zf_uniform_evaluate(evals, leaves, n);
        CHECK(zf_selfplay_update(f, evals) == -1);
    }
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n_games; i++) {
        zf_example examples[ZF_N_PLIES];
        int ply;
        CHECK(done[i]);
        CHECK(zf_game_examples(examples, &records[i], &ply) == ZF_GAME_OK);
        for (ply = 0; ply < ZF_N_PLIES; ply++) sum = zf_mix(sum + records[i].plays[ply]);
    }
    zf_counts counts;
    zf_selfplay_counts(f, &counts);
    CHECK(counts.games == n_games && counts.plays == ZF_N_PLIES * n_games);
    CHECK(max_nodes >= 100 || counts.full > 0);
    zf_selfplay_free(f);
    free(records);
    free(done);
    free(leaves);
    free(evals);
    return sum;
}

static void test_selfplay(void) {
    CHECK(play(1, 512, 30) == play(13, 512, 30));
    CHECK(play(5, ZF_MIN_NODES, 20) == play(20, ZF_MIN_NODES, 20));
}

static void test_update_refuses_nan(void) {
    zf_selfplay_config config = {
        .search = {.c_puct = 1, .n_simulations = 4, .max_nodes = 8}, .stride = 1, .n_trees = 2};
    zf_selfplay *f = zf_selfplay_new(&config);
    zf_game records[2];
    uint8_t done[2] = {0, 0};
    zf_obs leaves[2];
    float evals[16] = {0};
    CHECK(f);
    zf_selfplay_limit(f, 2, records, done, 2);
    CHECK(zf_selfplay_select(f, leaves) == 2);
    evals[15] = 0.0f / (evals[0] + 0.0f);
    CHECK(zf_selfplay_update(f, evals) == 1);
    zf_selfplay_free(f);
}

int main(void) {
    test_rng();
    test_tables();
    test_bits();
    test_games_and_undo();
    test_selfplay();
    test_update_refuses_nan();
    printf("C core: all checks passed (%s)\n", zf_engine_isa());
    return 0;
}
