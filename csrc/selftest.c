/* Checks of the C core that need no Python: built and run alone, also under the sanitizers.
 *
 *   gcc -std=c11 -O1 -g -fsanitize=address,undefined -DZF_NO_CLONES csrc/[a-z]*.c -lm -pthread */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "engine.h"
#include "house_solve.h"
#include "labelling.h"
#include "net.h"
#include "observe.h"
#include "past.h"
#include "policy.h"
#include "rng.h"
#include "rollouts.h"
#include "seat_planes.h"
#include "selfplay.h"
#include "v2_features.h"
#include "whole_game.h"
#include "worlds.h"
#include "solve.h"

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

/* The ends of the v2 network: every set bit adds one row, answers are a policy and a value, and an
 * observation that cannot be is refused. */
static void test_features(void) {
    static float ones[ZF_N_FEATURES * 80], rows[ZF_N_FEATURES * 80];
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) ones[i] = 1.0f;
    for (uint64_t game = 0; game < 200; game++) {
        zf_state s;
        zf_deal(&s, 7, ZF_STREAM_DEAL, game);
        for (uint64_t ply = 0; ply < game % ZF_N_PLIES; ply++) {
            uint32_t legal = zf_legal(&s), n = (uint32_t)__builtin_popcount(legal);
            zf_play(&s, zf_select(legal, zf_bounded(game, ply, n), 7));
        }
        zf_obs o;
        uint8_t bits[ZF_FEATURE_BYTES];
        float scores[ZF_N_SCORES] = {0}, sums[80], answer[8], sum = 0;
        uint32_t n = 0;
        if (game % 2) {
            s.contract = (zf_contract){31, (uint8_t)(game & 3), 3, 0x42, {1, 30, 31, 1}};
            CHECK(zf_contract_sane(&s.contract));
        }
        zf_observe(&o, &s);
        CHECK(zf_features(bits, &o, 1) == 1);
        for (int i = 0; i < ZF_FEATURE_BYTES; i++) n += (uint32_t)__builtin_popcount(bits[i]);
        CHECK(zf_first_layer(sums, &o, 1, ones, ones, ZF_N_FEATURES, 80) == 1);
        CHECK(sums[0] == (float)(n + 1) && sums[79] == sums[0]);
        memset(rows, 0, sizeof rows);
        CHECK(zf_first_gradient(rows, &o, ones, 1, ZF_N_FEATURES, 80) == 1);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) n -= i % 80 == 79 && rows[i] == 1.0f;
        CHECK(n == 0);
        zf_answers(answer, &o, 1, scores);
        for (int i = 0; i < 7; i++) sum += answer[i];
        float value = 0.0f; /* all points are alike: 12 or 31 of them are enough */
        if (game % 2) value = (o.contract.bidder & 1) ? (31.0f - 12.0f) / 43.0f : -19.0f / 43.0f;
        CHECK(sum > 0.999f && sum < 1.001f && fabsf(answer[7] - value) < 1e-5f);
        o.decl = ZF_N_DECLARATIONS;
        CHECK(zf_features(bits, &o, 1) == 0);
    }
}

/* A network of small whole numbers over and over, of which every kernel makes the same however many
 * rows are asked for, from an array that ends where the last row does. */
static void test_network(void) {
    enum { WIDTH = 48, N = 70 };
    static float numbers[ZF_N_FEATURES * WIDTH], all[8 * N], belief[ZF_N_BELIEF * N];
    static float scores[ZF_N_SCORES * N];
    zf_obs obs[N];
    for (size_t i = 0; i < ZF_N_FEATURES * WIDTH; i++)
        numbers[i] = (float)((int)(i * 7919 % 13) - 6) / 16.0f;
    for (uint64_t i = 0; i < N; i++) {
        zf_state s;
        zf_deal(&s, 7, ZF_STREAM_DEAL, i);
        zf_observe(&obs[i], &s);
    }
    zf_linear square[2] = {{numbers, numbers, WIDTH, WIDTH}, {numbers + 5, numbers, WIDTH, WIDTH}};
    zf_net_weights w = {{WIDTH, 2, true, false}, numbers, numbers, square, square,
                        {numbers, numbers, WIDTH, ZF_N_SCORES},
                        {numbers, numbers, WIDTH, ZF_N_BELIEF}};
    float low[2 * WIDTH], high[2 * WIDTH];
    for (int i = 0; i < 2 * WIDTH; i++) low[i] = -(high[i] = 4.0f);
    zf_net_scales scales = {low, high, high};
    for (const zf_net_kernel *const *k = zf_net_kernels; *k; k++) {
        CHECK(zf_net_kernel_named((*k)->name) == *k);
        zf_net *net = zf_net_new(&w, *k, &scales);
        CHECK(!net == !(*k)->supported());
        if (!net) continue;
        CHECK(zf_net_evaluate(net, obs, N, all) == N);
        CHECK(zf_net_scores(net, obs, N, scores, belief) == N);
        for (size_t n = 1; n < N; n++) {
            float *some = malloc(8 * n * sizeof *some);
            CHECK(zf_net_evaluate(net, obs + N - n, n, some) == n);
            CHECK(memcmp(some, all + 8 * (N - n), 8 * n * sizeof *some) == 0);
            free(some);
        }
        obs[66].decl = ZF_N_DECLARATIONS;
        CHECK(zf_net_evaluate(net, obs, N, all) == 66);
        obs[66].decl = 0;
        zf_net_free(net);
    }
    w.shape.n_blocks = ZF_NET_MAX_BLOCKS + 1;
    CHECK(!zf_net_new(&w, zf_net_kernel_for("fp32"), NULL));
    w.shape.n_blocks = 2;
    w.heads.n_out = ZF_N_SCORES - 1;
    CHECK(!zf_net_new(&w, zf_net_kernel_for("fp32"), NULL));
    CHECK(!zf_net_kernel_named("") && !zf_net_kernel_for("fp8"));
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
            zf_rewind(&s, ply);
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
static uint64_t play(uint32_t n_trees, uint32_t max_nodes, uint64_t n_games, zf_worlds worlds,
                     zf_root root, float noise_alpha) {
    bool saves = root == ZF_ROOT_GUMBEL; /* with everything that saves on searches */
    zf_selfplay_config config = {
        .search = {.c_puct = 1.4f, .n_simulations = 40, .max_nodes = max_nodes,
                   .n_worlds = 5, .exact_tricks = worlds == ZF_WORLDS_SAMPLED ? 3 : 0,
                   .temperature = 1.0f, .noise_alpha = noise_alpha,
                   .noise_fraction = saves ? 0 : 0.25f,
                   .root = root, .gumbel_scale = 1.0f, .transpositions = saves,
                   .skip_decided = saves, .full_share = saves ? 0.5f : 1.0f,
                   .fast_simulations = 12},
        .seed = 3, .stride = 1, .n_trees = n_trees, .worlds = worlds,
        .cache_bytes = saves ? 1 << 16 : 0};
    zf_selfplay *f = zf_selfplay_new(&config);
    zf_game *records = calloc(n_games, sizeof *records);
    uint8_t *done = calloc(n_games, 1);
    zf_obs *leaves = calloc(n_trees, sizeof *leaves);
    float *evals = calloc(n_trees, 8 * sizeof *evals);
    CHECK(f && records && done && leaves && evals);
    zf_game_queue_limit(zf_selfplay_queue(f), n_games, records, done, n_games);
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
    for (int i = 0; i < 4; i++) {
        zf_worlds w = i & 1 ? ZF_WORLDS_SAMPLED : ZF_WORLDS_TRUE;
        zf_root r = i & 2 ? ZF_ROOT_GUMBEL : ZF_ROOT_PUCT;
        CHECK(play(1, 512, 30, w, r, 0.5f) == play(13, 512, 30, w, r, 0.5f));
        CHECK(play(5, ZF_MIN_NODES, 20, w, r, 0.5f) == play(20, ZF_MIN_NODES, 20, w, r, 0.5f));
    }
    /* Drawing noise ends, whatever its parameter is. */
    const float alphas[] = {1e-30f, 1e-9f, 1e20f, 1e38f, -1.0f, -1e30f, INFINITY, NAN};
    for (size_t i = 0; i < sizeof alphas / sizeof *alphas; i++)
        play(4, 512, 4, ZF_WORLDS_TRUE, ZF_ROOT_PUCT, alphas[i]);
}

/* Labelled games side by side: a record is a legal game, and one at a time gives the same. */
static uint64_t teach(uint32_t n_games, zf_teacher teacher, uint32_t n_worlds) {
    enum { N = 20 };
    zf_labelling_config config = {.seed = 3, .stride = 1, .n_games = n_games,
                                  .labels = {.teacher = teacher, .label_share = 0.2f,
                                             .n_worlds = n_worlds, .temperature = 0.5f,
                                             .explore = 0.2f, .exact_tricks = 2}};
    zf_labelling *t = zf_labelling_new(&config);
    zf_game *records = calloc(N, sizeof *records);
    uint8_t done[N] = {0};
    zf_obs *obs = calloc(zf_labelling_room(&config), sizeof *obs);
    float *evals = calloc(zf_labelling_room(&config), 8 * sizeof *evals);
    CHECK(t && records && obs && evals && zf_labelling_bytes(t) > 0);
    zf_game_queue_limit(zf_labelling_queue(t), N, records, done, N);
    for (size_t n; (n = zf_labelling_select(t, obs)) > 0;) {
        zf_uniform_evaluate(evals, obs, n);
        CHECK(zf_labelling_update(t, evals) == -1);
    }
    uint64_t sum = 0, labels = 0;
    for (int i = 0; i < N; i++) {
        zf_example examples[ZF_N_PLIES];
        int ply;
        CHECK(done[i] && zf_game_examples(examples, &records[i], &ply) == ZF_GAME_OK);
        for (ply = 0; ply < ZF_N_PLIES; ply++) {
            labels += (examples[ply].flags & ZF_HAS_POLICY) != 0;
            for (int s = 0; s < 7; s++) sum = zf_mix(sum + examples[ply].policy[s]);
        }
    }
    zf_labelling_counts counts;
    zf_labelling_counts_of(t, &counts);
    CHECK(counts.games == N && counts.labels == labels && labels > 0);
    zf_labelling_free(t);
    free(records);
    free(obs);
    free(evals);
    return sum;
}

static void test_teaching(void) {
    for (uint32_t worlds = 0; worlds < 4; worlds += 3) {
        CHECK(teach(1, ZF_TEACHER_EXACT, worlds) == teach(7, ZF_TEACHER_EXACT, worlds));
        CHECK(teach(1, ZF_TEACHER_ROLLOUT, worlds) == teach(30, ZF_TEACHER_ROLLOUT, worlds));
    }
}

/* One bucket: what was looked at last stays, and nothing is found that was not stored. */
static void test_cache(void) {
    zf_cache *c = zf_cache_new(1);
    zf_obs obs[5] = {{.hand = 1}, {.hand = 2}, {.hand = 1, .decl = 1}, {.hand = 1, .plays = {1}},
                     {.plays = {[ZF_N_PLIES - 1] = 1}}};
    float eval[8] = {0};
    CHECK(c && zf_cache_bytes(c) > 0 && !zf_cache_find(c, &obs[4]));
    for (int i = 0; i < 4; i++) {
        eval[7] = (float)i;
        zf_cache_store(c, &obs[i], eval);
    }
    for (int i = 3; i >= 0; i--) CHECK(zf_cache_find(c, &obs[i])[7] == (float)i);
    zf_cache_store(c, &obs[4], eval);
    CHECK(zf_cache_find(c, &obs[4]) && !zf_cache_find(c, &obs[3]) && zf_cache_find(c, &obs[2]));
    zf_cache_clear(c);
    for (int i = 0; i < 5; i++) CHECK(!zf_cache_find(c, &obs[i]));
    zf_cache_store(c, &obs[3], eval);
    CHECK(zf_cache_find(c, &obs[3]) && !zf_cache_find(c, &obs[2]));
    zf_cache_free(c);
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
    zf_game_queue_limit(zf_selfplay_queue(f), 2, records, done, 2);
    CHECK(zf_selfplay_select(f, leaves) == 2);
    evals[15] = 0.0f / (evals[0] + 0.0f);
    CHECK(zf_selfplay_update(f, evals) == 1);
    zf_selfplay_free(f);
}

/* Points of team 0 at the end under best play, by trying everything. */
static int best_points(const zf_state *s) {
    if (zf_over(s)) return s->points[0];
    bool team0 = (s->to_play & 1) == 0;
    int best = team0 ? -1 : 43;
    for (uint32_t legal = zf_legal(s); legal; legal &= legal - 1) {
        zf_state next = *s;
        zf_play(&next, (uint32_t)__builtin_ctz(legal));
        int points = best_points(&next);
        if (team0 ? points > best : points < best) best = points;
    }
    return best;
}

static void check_solved(zf_solver *solver, const zf_state *s) {
    zf_position p;
    int seat, domino, taken = s->points[0], best = best_points(s);
    int8_t plays[ZF_N_DOMINOES];
    zf_position_of(&p, s);
    CHECK(zf_position_check(&p, &seat, &domino) == ZF_POSITION_OK);
    CHECK(zf_position_to_play(&p) == s->to_play);
    CHECK(zf_position_points(&p) == 42 - s->points[0] - s->points[1]);
    CHECK(zf_solve(solver, &p) == best - taken);
    CHECK(zf_solve_at_least(solver, &p, best - taken));
    CHECK(!zf_solve_at_least(solver, &p, best - taken + 1));
    CHECK(zf_solve_outcome(solver, s) == (best > 21) - (best < 21));
    for (uint8_t bid = 30; bid <= 43; bid++) { /* of seat 1, so that team 0 is to set it */
        zf_state played_for = *s;
        played_for.contract = (zf_contract){.bid = bid, .bidder = 1};
        int set = best > 42 - (bid < 42 ? bid : 42) ? 1 : -1;
        CHECK(zf_solve_outcome(solver, &played_for) == set);
        if (zf_over(s)) CHECK(zf_outcome(&played_for) == set && zf_decided(&played_for));
    }
    zf_solve_plays(solver, &p, plays);
    uint32_t legal = zf_legal(s);
    for (uint32_t d = 0; d < ZF_N_DOMINOES; d++) {
        zf_state next = *s;
        if (legal >> d & 1) zf_play(&next, d);
        CHECK(plays[d] == (legal >> d & 1 ? best_points(&next) - taken : -1));
    }
}

static void test_solver(void) {
    zf_solver *solver = zf_solver_new(ZF_MIN_TABLE_BITS);
    CHECK(solver && zf_solver_bytes(solver) > 0);
    for (uint64_t game = 0; game < 60; game++) {
        zf_state s;
        zf_deal(&s, 11, ZF_STREAM_DEAL, game);
        for (int ply = 0; ply < ZF_N_PLIES; ply++) {
            if (ply >= 15) check_solved(solver, &s);
            uint32_t legal = zf_legal(&s), n = (uint32_t)__builtin_popcount(legal);
            zf_play(&s, zf_select(legal, zf_bounded(game, (uint64_t)ply, n), 7));
        }
        check_solved(solver, &s);
    }
    CHECK(zf_solver_nodes(solver) > 0);
    zf_solver_free(solver);
}

static void check_worlds(const zf_state *s, uint32_t viewer, uint64_t draw) {
    zf_world_set w;
    zf_state other = *s;
    uint32_t hands[4];
    uint64_t count = zf_worlds_init(&w, s, viewer), rank = zf_worlds_rank(&w, s->hand);
    CHECK(count > 0 && rank < count); /* the true deal is one of the worlds */
    zf_worlds_unrank(&w, rank, hands);
    CHECK(memcmp(hands, s->hand, sizeof hands) == 0);
    zf_worlds_sample(&w, draw, hands);
    CHECK(zf_worlds_rank(&w, hands) == zf_scale(draw, (uint32_t)count));
    /* Every play so far is legal in the sampled world. */
    zf_worlds_apply(&other, hands);
    zf_state again;
    zf_init(&again, other.dealt, s->decl, s->first_leader);
    for (int i = 0; i < s->n_plays; i++) {
        CHECK(zf_legal(&again) >> (s->plays[i] & 31u) & 1u);
        zf_play(&again, s->plays[i] & 31u);
    }
    CHECK(memcmp(&again, &other, sizeof again) == 0);
    hands[viewer] ^= 1u;
    CHECK(zf_worlds_rank(&w, hands) == ZF_NO_RANK);
}

/* In the few-world endings: ranks, many walks at once, and weights that are all alike. */
static void check_all_worlds(const zf_state *s) {
    static zf_weighted_set weighted;
    double weights[ZF_N_DOMINOES][4], sum = 0;
    zf_world_set w;
    zf_knowledge k;
    uint64_t count = zf_worlds_init(&w, s, s->to_play), ranks[90];
    uint32_t hands[90][4];
    CHECK(count <= 90);
    for (uint64_t i = 0; i < count; i++) ranks[i] = i;
    zf_worlds_unrank_many(&w, ranks, count, hands);
    for (int d = 0; d < 4 * ZF_N_DOMINOES; d++) weights[d / 4][d % 4] = 0.25;
    zf_knowledge_of(&k, s, s->to_play);
    CHECK(zf_weighted_of(&weighted, &k, weights) == ZF_WEIGHTS_OK);
    for (uint64_t i = 0; i < count; i++) {
        double p = zf_weighted_probability(&weighted, hands[i]);
        CHECK(zf_worlds_rank(&w, hands[i]) == i);
        CHECK(p * (double)count > 0.999999 && p * (double)count < 1.000001);
        sum += p;
    }
    CHECK(sum > 0.999999 && sum < 1.000001);
    zf_weighted_sample_many(&weighted, 1, 0, count, hands);
    for (uint64_t i = 0; i < count; i++) CHECK(zf_worlds_rank(&w, hands[i]) < count);
    weights[__builtin_ctz(k.hidden | 1u << 27)][(s->to_play + 1) & 3] = -1;
    CHECK(!k.hidden || zf_weighted_of(&weighted, &k, weights) == ZF_WEIGHTS_BAD);
}

static void test_worlds(void) {
    for (uint64_t game = 0; game < 100; game++) {
        zf_state s;
        zf_deal(&s, 8, ZF_STREAM_DEAL, game);
        for (uint32_t ply = 0; ply < ZF_N_PLIES; ply++) {
            for (uint32_t viewer = 0; viewer < 4; viewer++)
                check_worlds(&s, viewer, zf_bits(game, 100 + 4 * ply + viewer));
            if (ply >= 20) check_all_worlds(&s);
            uint32_t n = (uint32_t)__builtin_popcount(zf_legal(&s));
            zf_play(&s, zf_select(zf_legal(&s), zf_bounded(game, ply, n), 7));
        }
    }
    /* Two hidden dominoes that both can only be left's, who holds one. */
    zf_world_set w;
    zf_knowledge k = {.hidden = 3, .barred = {0, 0, 3, 3}, .size = {0, 1, 1, 0}};
    CHECK(zf_worlds_of(&w, &k) == 0);
    k.barred[2] = 1;
    CHECK(zf_worlds_of(&w, &k) == 1 && w.fixed[0] == 1);
    k.barred[1] = 1;
    CHECK(zf_worlds_of(&w, &k) == 0);
}

static void test_rollouts(void) {
    enum { N = 40 };
    zf_state s[N];
    zf_obs obs[N];
    float evals[8 * N];
    uint8_t until[N];
    int64_t live[N];
    size_t n = N;
    for (size_t i = 0; i < N; i++) {
        zf_deal(&s[i], 5, ZF_STREAM_DEAL, i);
        until[i] = (uint8_t)(i % (ZF_N_PLIES + 1));
        live[i] = (int64_t)i;
    }
    while ((n = zf_rollouts_advance(s, until, live, n, obs)) > 0) {
        for (size_t i = 0; i < n; i++) {
            const zf_state *rollout = &s[live[i]];
            CHECK(rollout->n_plays < until[live[i]] && obs[i].n_plays == rollout->n_plays);
            CHECK(__builtin_popcount(obs[i].legal) > 1);
        }
        zf_uniform_evaluate(evals, obs, n);
        zf_rollouts_greedy(s, live, n, evals);
    }
    for (size_t i = 0; i < N; i++) {
        zf_state back = s[i];
        CHECK(s[i].n_plays == until[i]);
        zf_rewind(&back, until[i] / 2);
        CHECK(back.n_plays == until[i] / 2 && back.plays[0] == (until[i] < 2 ? 0 : s[i].plays[0]));
    }
}

/* Auctions by their number, as the rules of tournaments have it, and with a shaker who must bid. */
static void test_auctions(void) {
    static const uint64_t counts[ZF_MOST_MARKS] = {2380, 3060, 3196, 3213, 3214, 3214, 3214};
    zf_rule_set r = {.forced_bid = ZF_LEAST_BID, .opening_marks = 2};
    for (uint8_t most = 1; most <= ZF_MOST_MARKS; most++) {
        r.most_marks = most;
        r.force = 0;
        CHECK(zf_auction_perft(&r) == counts[most - 1]);
        r.force = 1;
        CHECK(zf_auction_perft(&r) == counts[most - 1] - 1);
    }
    r.plunge = 4;
    r.splash = 3;
    CHECK(zf_legal_calls(&r, 3 * ZF_MARK, 7, false) >> ZF_PLUNGE_BIT == 1); /* no splash over 3 */
    CHECK(zf_call_of_bit(&r, 4 * ZF_MARK + 1, ZF_PLUNGE_BIT) == 5 * ZF_MARK + 1);
}

/* Whole games of random actions end, by every rule set; a batch of them, action by action, is the
 * same as the loop. */
static void test_whole_games(void) {
    enum { N = 40 };
    static const zf_rule_set sets[] = {
        {.target = 7, .most_reshakes = 20, .forced_bid = 30, .opening_marks = 2, .most_marks = 7,
         .straight = 2, .partner_leads = 1, .early_end = 1},
        {.target = 12, .most_reshakes = 2, .forced_bid = 31, .opening_marks = 2, .most_marks = 7,
         .straight = 3, .nello = 15, .nello_marks = 1, .plunge = 4, .splash = 2, .sevens = 1},
        {.target = 250, .for_points = 1, .force = 1, .forced_bid = 30, .opening_marks = 2,
         .most_marks = 7, .straight = 2},
        {.target = 7, .drop30 = 1, .forced_bid = 30, .opening_marks = 2, .most_marks = 7,
         .straight = 2, .early_end = 1},
        {.target = 7, .force = 1, .forced_bid = 30, .opening_marks = 2, .most_marks = 7,
         .straight = 2, .nello = 1, .nello_forced = 1, .sevens = 1, .sevens_forced = 1,
         .forced_sweep = 2, .early_end = 1},
    };
    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
        static zf_whole_game games[N], steps[N];
        size_t over = 0;
        zf_whole_random_games(games, &sets[k], N, 3, 7);
        for (size_t i = 0; i < N; i++) {
            zf_whole_init(&steps[i], zf_whole_first_shaker(3, 7 + i));
            zf_whole_deal_seeded(&steps[i], &sets[k], 3, 7 + i);
        }
        while (over < N) {
            over = 0;
            for (size_t i = 0; i < N; i++) {
                if (steps[i].phase != ZF_PHASE_OVER)
                    zf_whole_act(&steps[i], &sets[k],
                                 zf_whole_random_choice(&steps[i], &sets[k], 3, 7 + i));
                if (steps[i].phase == ZF_PHASE_DEAL)
                    zf_whole_deal_seeded(&steps[i], &sets[k], 3, 7 + i);
                over += steps[i].phase == ZF_PHASE_OVER;
                CHECK((zf_whole_legal(&steps[i], &sets[k]) == 0) ==
                      (steps[i].phase == ZF_PHASE_OVER));
                CHECK((zf_whole_seat(&steps[i]) == ZF_NOBODY) == (steps[i].phase == ZF_PHASE_OVER));
            }
        }
        CHECK(memcmp(games, steps, sizeof games) == 0);
        for (size_t i = 0; i < N; i++) {
            CHECK(games[i].winner < 2 && games[i].marks[games[i].winner] >= sets[k].target);
            CHECK(games[i].last.made <= ZF_MADE);
        }
    }
}

static int32_t never(const zf_view *view, int64_t random) {
    (void)random;
    return view->n_plays < 5 ? __builtin_ctz((uint32_t)view->legal) : -7;
}

/* What a model plays is legal, or ends the rollouts where it is asked. */
static void test_a_model_of_opponents(zf_net *net, const zf_state *games, const uint8_t *until) {
    enum { N = 300 };
    static zf_state s[N];
    uint8_t players[N];
    int64_t live[N];
    for (int i = 0; i < 2; i++) {
        zf_policy_run run = {0};
        zf_rollout_model model = {{i ? never : zf_policy_random, false, 0}, players, 30, &run};
        size_t n = N;
        for (size_t k = 0; k < N; k++) {
            s[k] = games[k];
            zf_rewind(&s[k], 0);
            players[k] = (uint8_t)(k % 4);
            live[k] = (int64_t)k;
        }
        zf_rollouts_end end = zf_rollouts_run(net, s, until, NULL, &model, live, &n, 60.0);
        CHECK(run.calls > 0 && end == (i ? ZF_ROLLOUTS_UNUSABLE : ZF_ROLLOUTS_DONE));
        if (i) {
            const zf_state *at = &s[run.at];
            CHECK(run.answer == -7 && at->n_plays >= 5 && at->n_plays < until[run.at]);
            CHECK((at->to_play ^ players[run.at]) & 1);
        }
        size_t left = 0;
        for (size_t k = 0; k < N; k++) left += s[k].n_plays < until[k];
        CHECK(i ? n >= left && left > 0 : n == 0 && left == 0); /* whatever is not done is live */
    }
}

/* A network of small whole numbers rolls out, a batch at a time, as if it were asked from outside. */
static void test_rollouts_with_a_network(void) {
    enum { WIDTH = 16, N = 300 };
    static float numbers[ZF_N_FEATURES * WIDTH], evals[8 * N], value[N];
    static zf_state s[N], wanted[N];
    static zf_obs obs[N];
    uint8_t until[N], player[N], since[N];
    int64_t live[N];
    size_t n = N;
    for (size_t i = 0; i < ZF_N_FEATURES * WIDTH; i++)
        numbers[i] = (float)((int)(i * 7919 % 13) - 6) / 16.0f;
    zf_linear square = {numbers, numbers, WIDTH, WIDTH};
    zf_net_weights w = {{WIDTH, 1, false, false}, numbers, numbers, &square, &square,
                        {numbers, numbers, WIDTH, ZF_N_SCORES}, {0}};
    zf_net *net = zf_net_new(&w, zf_net_kernel_for("fp32"), NULL);
    CHECK(net);
    for (size_t i = 0; i < N; i++) {
        zf_deal(&s[i], 5, ZF_STREAM_DEAL, i);
        wanted[i] = s[i];
        live[i] = (int64_t)i;
        until[i] = (uint8_t)(i % (ZF_N_PLIES + 1));
        player[i] = s[i].to_play;
        since[i] = 8;
        value[i] = 2.0f;
    }
    while ((n = zf_rollouts_advance(wanted, until, live, n, obs)) > 0) {
        CHECK(zf_net_evaluate(net, obs, n, evals) == n);
        zf_rollouts_greedy(wanted, live, n, evals);
    }
    for (size_t i = 0; i < N; i++) live[i] = (int64_t)i;
    n = N;
    while (zf_rollouts_run(net, s, until, NULL, NULL, live, &n, 0.0) == ZF_ROLLOUTS_OPEN)
        CHECK(n > 0);
    CHECK(n == 0 && memcmp(s, wanted, sizeof s) == 0);
    for (size_t i = 0; i < N; i++) {
        zf_rewind(&s[i], 0);
        live[i] = (int64_t)i;
    }
    n = N;
    zf_rollout_values ends = {player, since, value};
    CHECK(zf_rollouts_run(net, s, until, &ends, NULL, live, &n, 60.0) == ZF_ROLLOUTS_DONE);
    for (size_t i = 0; i < N; i++)
        if (value[i] <= 1.0f)
            CHECK(s[i].n_plays >= 8 && s[i].n_plays < until[i] && s[i].to_play == player[i]);
        else
            CHECK(memcmp(&s[i], &wanted[i], sizeof *s) == 0);
    test_a_model_of_opponents(net, wanted, until);
    zf_net_free(net);
}

/* Every observation of the past is of another seat, and of the plays made by then. */
static void test_past_choices(void) {
    enum { N = 20 };
    static zf_state s[2 * N];
    static zf_obs obs[2 * N * ZF_N_PLIES];
    static int32_t asked[2 * N][ZF_N_PLIES];
    static uint32_t table[2048];
    for (uint64_t i = 0; i < 2 * N; i++) {
        zf_deal(&s[i], 9, ZF_STREAM_DEAL, i / 2);
        while (s[i].n_plays < (i / 2) % (ZF_N_PLIES + 1))
            zf_play(&s[i], (uint32_t)__builtin_ctz(zf_legal(&s[i])));
    }
    size_t n = zf_past_choices(s, 2 * N, obs, asked, table, 2048), n_asked = 0;
    for (size_t i = 0; i < 2 * N; i++)
        for (int ply = 0; ply < ZF_N_PLIES; ply++) {
            int32_t place = asked[i][ply];
            if (place < 0) continue;
            const zf_obs *o = &obs[place / 8];
            CHECK((size_t)place / 8 < n && o->n_plays == ply && ply < s[i].n_plays);
            CHECK(o->legal >> place % 8 & 1 && __builtin_popcount(o->legal) > 1);
            CHECK(o->hand != s[i].dealt[s[i].to_play]);
            CHECK(asked[i ^ 1][ply] == place);
            n_asked++;
        }
    CHECK(n > 50 && n_asked == 2 * n);
}

/* Low dominoes without a double make nello whatever they lead; all doubles never do. */
static void test_house_solver(void) {
    static const uint32_t hands[2][4] = {
        {0xCDA, 0xBB100, 0x8104225, 0x7E40000}, {0x8104225, 0xBB100, 0xCDA, 0x7E40000}};
    zf_house_hand h = {.decl = ZF_NELLO, .bidder = 0, .to_play = 0};
    uint32_t made[2];
    CHECK((hands[0][0] | hands[0][1] | hands[0][2] | hands[0][3]) == ZF_ALL_DOMINOES);
    CHECK(zf_house_made(&h, hands, 2, made) > 14);
    CHECK(made[0] == hands[0][0] && made[1] == 0);
    for (uint64_t game = 0; game < 20; game++) {
        zf_state s;
        zf_deal(&s, 4, ZF_STREAM_DEAL, game);
        h.decl = (uint8_t)(ZF_NELLO + game % 5);
        h.bidder = h.to_play = (uint8_t)(game & 3);
        zf_house_made(&h, &s.hand, 1, made);
        CHECK((made[0] & ~s.hand[h.bidder]) == 0);
    }
}

/* Seats see what they hold and what was played, and nothing of how the rest lies. */
static void test_hand_planes(void) {
    enum { N = 40 };
    for (uint64_t game = 0; game < N; game++) {
        zf_state s, other;
        uint8_t seen[ZF_P_HAND_SIZE], again[ZF_P_HAND_SIZE], mask[ZF_N_DOMINOES];
        zf_deal(&s, 9, ZF_STREAM_DEAL, game);
        int64_t row = 0;
        for (uint64_t i = 0; i < game % ZF_N_PLIES; i++)
            zf_random_plays(&s, &row, &game, 1, 9, ZF_STREAM_PLAY);
        for (uint32_t seat = 0; seat < 4; seat++) {
            uint32_t held = 0, played = 0;
            zf_hand_planes(seen, &s, seat);
            for (int d = 0; d < ZF_N_DOMINOES; d++) held += seen[ZF_P_HELD + d];
            for (int i = ZF_P_PLAYED; i < ZF_P_TABLE; i++) played += seen[i];
            CHECK(held == (uint32_t)__builtin_popcount(s.hand[seat]) && played == s.n_plays);
            other = s;
            for (uint32_t k = 0; k < 4; k++) /* nothing is left of the other hands */
                if (k != seat) other.hand[k] = other.dealt[k] = 0;
            zf_hand_planes(again, &other, seat);
            CHECK(memcmp(seen, again, sizeof seen) == 0);
        }
        zf_hand_mask(mask, &s);
        for (int d = 0; d < ZF_N_DOMINOES; d++) CHECK(mask[d] == (zf_legal(&s) >> d & 1));
    }
}

static void test_whole_planes(void) {
    enum { N = 40 };
    const zf_rule_set house = {.target = 12, .most_reshakes = 2, .forced_bid = 31,
                               .opening_marks = 2, .most_marks = 7, .straight = 3, .nello = 15,
                               .nello_marks = 1, .plunge = 4, .splash = 2, .sevens = 1};
    for (uint64_t game = 0; game < N; game++) {
        zf_whole_game g, other;
        uint8_t seen[ZF_P_WHOLE_SIZE], again[ZF_P_WHOLE_SIZE], mask[ZF_A_SIZE];
        zf_whole_init(&g, zf_whole_first_shaker(3, game));
        while (g.phase != ZF_PHASE_OVER) {
            uint32_t legal = 0;
            if (g.phase == ZF_PHASE_DEAL) zf_whole_deal_seeded(&g, &house, 3, game);
            zf_whole_mask(mask, &g, &house);
            for (int a = 0; a < ZF_A_SIZE; a++) legal += mask[a];
            CHECK(legal == (uint32_t)__builtin_popcount(zf_whole_legal(&g, &house)));
            zf_whole_act(&g, &house, zf_whole_random_choice(&g, &house, 3, game));
            for (uint32_t seat = 0; seat < 4; seat++) {
                zf_whole_planes(seen, &g, seat);
                other = g;
                for (uint32_t k = 0; k < 4; k++)
                    if (k != seat) other.hand.hand[k] = other.hand.dealt[k] = 0;
                zf_whole_planes(again, &other, seat);
                CHECK(memcmp(seen, again, sizeof seen) == 0);
            }
        }
    }
}

static int32_t none(const zf_view *view, int64_t random) {
    CHECK(random >= 0);
    return view->n_plays < 9 ? zf_policy_random(view, random) : -5;
}

/* The random policy plays as random games do; an answer that cannot be used ends a game where it is
 * given, or is replaced. */
static void test_policies(void) {
    enum { N = 100 };
    static zf_state s[N], same[N];
    static uint8_t bids[N], teams[N];
    static uint64_t games[N];
    zf_policy_player players[2] = {{zf_policy_random, false, 0}, {zf_policy_random, false, 0}};
    zf_policy_run run = {0};
    zf_policy_asking asking = {bids, games, 3, ZF_STREAM_PLAY};
    for (uint64_t i = 0; i < N; i++) {
        games[i] = i;
        bids[i] = 30;
        teams[i] = i & 1;
        zf_deal(&s[i], 3, ZF_STREAM_DEAL, i);
        same[i] = s[i];
        while (!zf_over(&same[i])) {
            int64_t row = (int64_t)i;
            zf_random_plays(same, &row, &i, 1, 3, ZF_STREAM_PLAY);
        }
    }
    CHECK(zf_policy_games(players, s, N, teams, &asking, &run));
    CHECK(memcmp(s, same, sizeof s) == 0 && run.calls > 10 * N);
    for (int i = 0; i < N; i++) zf_rewind(&s[i], 0);
    players[1].answer = none;
    CHECK(!zf_policy_games(players, s, N, teams, &asking, &run));
    CHECK(run.at == 0 && run.answer == -5 && s[0].n_plays >= 9 && players[1].replaced == 0);
    players[1].replaces = true;
    CHECK(zf_policy_games(players, s, N, teams, &asking, &run));
    CHECK(players[1].replaced > 0 && players[0].replaced == 0 && zf_over(&s[N - 1]));
}

int main(void) {
    test_rng();
    test_tables();
    test_bits();
    test_features();
    test_network();
    test_games_and_undo();
    test_worlds();
    test_cache();
    test_selfplay();
    test_teaching();
    test_update_refuses_nan();
    test_solver();
    test_rollouts();
    test_rollouts_with_a_network();
    test_past_choices();
    test_auctions();
    test_whole_games();
    test_hand_planes();
    test_whole_planes();
    test_house_solver();
    test_policies();
    printf("C core: all checks passed (%s)\n", zf_engine_isa());
    return 0;
}
