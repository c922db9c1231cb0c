/* One kernel of the C core at a time, for counting its instructions: instructions KERNEL SHARE.
 *
 * What is counted is what happens inside measured(); the rest prepares it. SHARE, in per cent, is
 * how much of the kernel's fixed work is done: 115 is the slow-down that the gate must catch.
 * Prints a check sum, so that nothing can be left out by the compiler. bench/counting.py builds
 * this with the files of csrc/ and runs it under valgrind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "house_solve.h"
#include "net.h"
#include "observe.h"
#include "past.h"
#include "policy.h"
#include "rollouts.h"
#include "rng.h"
#include "seat_planes.h"
#include "selfplay.h"
#include "solve.h"
#include "v2_features.h"
#include "whole_game.h"
#include "worlds.h"

#define SEED 42u
#define N_STATES 64

typedef struct {
    const char *name;
    size_t units; /* of the fixed work */
    uint64_t (*run)(size_t units);
} kernel;

static zf_state states[N_STATES]; /* random games, each somewhere in its middle */
static zf_obs observed[N_STATES], for_contracts[N_STATES];

static void play_on(zf_state *s, uint64_t game, int n_plays) {
    while (s->n_plays < n_plays) {
        uint32_t legal = zf_legal(s), n = (uint32_t)__builtin_popcount(legal);
        zf_play(s, zf_select(legal, zf_bounded(game, s->n_plays, n), 7));
    }
}

static void prepare(void) {
    for (uint64_t i = 0; i < N_STATES; i++) {
        zf_deal(&states[i], SEED, ZF_STREAM_DEAL, i);
        play_on(&states[i], i, (int)(i % (ZF_N_PLIES - 1)));
        zf_observe(&observed[i], &states[i]);
        for_contracts[i] = observed[i];
        for_contracts[i].contract = (zf_contract){31, i & 3, 3, 0x42, {1, 31, 30, 1}};
    }
}

static uint64_t random_games(size_t n) {
    static uint8_t points[65536];
    uint64_t sum = 0;
    zf_random_games(points, n, SEED, 0);
    for (size_t i = 0; i < n; i++) sum += points[i];
    return sum;
}

static uint64_t whole_games(size_t n) {
    static zf_whole_game games[256];
    const zf_rule_set straight = {.target = 7, .most_reshakes = 20, .forced_bid = 30,
                                  .opening_marks = 2, .most_marks = 7, .straight = 2,
                                  .nello_marks = 1, .partner_leads = 1, .early_end = 1};
    uint64_t sum = 0;
    zf_whole_random_games(games, &straight, n, SEED, 0);
    for (size_t i = 0; i < n; i++) sum += games[i].n_actions;
    return sum;
}

/* Games side by side, action by action as a batch of them has it: what is forced is done, who is to
 * play sees, and everyone does what comes first. */
static uint64_t whole_games_together(size_t n) {
    static zf_whole_game games[N_STATES];
    static zf_obs seen;
    const zf_rule_set forced = {.target = 7, .force = 1, .forced_bid = 30, .opening_marks = 2,
                                .most_marks = 7, .straight = 2, .nello_marks = 1,
                                .partner_leads = 1, .early_end = 1};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < N_STATES; i++) {
        zf_whole_init(&games[i], zf_whole_first_shaker(SEED, i));
        zf_whole_deal_seeded(&games[i], &forced, SEED, i);
    }
    for (size_t step = 0; step < n; step++) {
        for (uint64_t i = 0; i < N_STATES; i++) {
            zf_whole_game *g = &games[i];
            if (g->phase == ZF_PHASE_OVER) zf_whole_init(g, zf_whole_first_shaker(SEED, i));
            if (g->phase == ZF_PHASE_DEAL) zf_whole_deal_seeded(g, &forced, SEED, i);
            if (g->phase == ZF_PHASE_PLAY) zf_observe(&seen, &g->hand);
            uint32_t legal = zf_whole_legal(g, &forced);
            zf_whole_act(g, &forced, (uint32_t)__builtin_ctz(legal));
            sum += g->marks[0] + seen.legal;
        }
    }
    return sum;
}

/* The first play of a nello by what the leader sees, eight layouts, again and again: hands differ
 * too much for a few of them to show a slow-down. */
static uint64_t house_plays(size_t n) {
    zf_house_hand h = {.decl = ZF_NELLO, .bidder = 0, .to_play = 0};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        zf_state s;
        uint32_t made[ZF_N_DOMINOES];
        zf_deal(&s, SEED, ZF_STREAM_DEAL, 1);
        sum += zf_house_tally(&h, s.hand[0], zf_stream_key(SEED, ZF_STREAM_WORLDS, 1), 0, 8, made);
        sum = zf_mix(sum + made[(uint32_t)__builtin_ctz(s.hand[0])]);
    }
    return sum;
}

/* First plays of nello, all hands open. */
static uint64_t nello(size_t n) {
    zf_house_hand h = {.decl = ZF_NELLO, .bidder = 0, .to_play = 0};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        zf_state s;
        uint32_t made;
        zf_deal(&s, SEED, ZF_STREAM_DEAL, i);
        zf_house_made(&h, &s.hand, 1, &made);
        sum = zf_mix(sum + made);
    }
    return sum;
}

static uint64_t observe(size_t n) {
    static zf_obs out[N_STATES];
    int64_t rows[N_STATES];
    uint64_t sum = 0;
    for (int i = 0; i < N_STATES; i++) rows[i] = i;
    for (size_t i = 0; i < n; i++) {
        zf_observe_rows(out, states, rows, N_STATES);
        sum += out[i % N_STATES].legal;
    }
    return sum;
}

/* What the four seats of each game know, and what may be played. */
static uint64_t seat_planes(size_t n) {
    static uint8_t out[ZF_P_HAND_SIZE];
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        for (uint32_t seat = 0; seat < 4; seat++) {
            zf_hand_planes(out, &states[i % N_STATES], seat);
            sum = zf_mix(sum + out[i % ZF_P_HAND_SIZE]);
            zf_hand_mask(out, &states[i % N_STATES]);
            sum += out[i % ZF_N_DOMINOES];
        }
    return sum;
}

static uint64_t worlds(size_t n) {
    static zf_world_set set;
    static uint32_t hands[16][4];
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        const zf_state *s = &states[i % N_STATES];
        zf_worlds_init(&set, s, s->to_play);
        zf_worlds_sample_many(&set, zf_stream_key(SEED, ZF_STREAM_WORLDS, i), 0, 16, hands);
        sum = zf_mix(sum + hands[i % 16][3]);
    }
    return sum;
}

/* Games of the random policy, called as one of somebody else's would be. */
static uint64_t policy_games(size_t n) {
    static zf_state games[256];
    static uint8_t bids[256], teams[256];
    static uint64_t numbers[256];
    zf_policy_player players[2] = {{zf_policy_random, false, 0}, {zf_policy_random, false, 0}};
    zf_policy_asking asking = {bids, numbers, SEED, ZF_STREAM_EVAL_PLAY};
    zf_policy_run run = {0};
    for (size_t i = 0; i < n; i++) numbers[i] = i, bids[i] = 30;
    zf_deal_many(games, n, SEED, ZF_STREAM_EVAL_DEAL, 0);
    zf_policy_games(players, games, n, teams, &asking, &run);
    return (uint64_t)run.calls;
}

/* Rollouts of a small network against the random policy. */
static uint64_t modelled_rollouts(size_t n) {
    enum { WIDTH = 16 };
    static float numbers[ZF_N_FEATURES * WIDTH];
    static zf_state games[256];
    static uint8_t until[256], players[256];
    static int64_t live[256];
    zf_linear square = {numbers, numbers, WIDTH, WIDTH};
    zf_net_weights w = {{WIDTH, 1, false, false}, numbers, numbers, &square, &square,
                        {numbers, numbers, WIDTH, ZF_N_SCORES}, {0}};
    zf_policy_run run = {0};
    zf_rollout_model model = {{zf_policy_random, false, 0}, players, 30, &run};
    for (size_t i = 0; i < ZF_N_FEATURES * WIDTH; i++)
        numbers[i] = (float)((int)(i * 7919 % 13) - 6) / 16.0f;
    zf_net *net = zf_net_new(&w, zf_net_kernel_for("fp32"), NULL);
    if (!net) exit(1);
    zf_deal_many(games, n, SEED, ZF_STREAM_EVAL_DEAL, 0);
    for (size_t i = 0; i < n; i++) until[i] = ZF_N_PLIES, live[i] = (int64_t)i;
    zf_rollouts_run(net, games, until, NULL, &model, live, &n, 60.0);
    zf_net_free(net);
    return (uint64_t)run.calls;
}

/* What the seats of games at all stages saw when they chose. */
static uint64_t past_choices(size_t n) {
    static zf_obs seen[N_STATES * ZF_N_PLIES];
    static int32_t asked[N_STATES][ZF_N_PLIES];
    static uint32_t table[4096];
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += zf_past_choices(states, N_STATES, seen, asked, table, 4096);
    return sum;
}

static uint64_t solve(size_t n) {
    zf_solver *solver = zf_solver_new(ZF_DEFAULT_TABLE_BITS);
    uint64_t sum = 0;
    for (uint64_t game = 0; solver && game < n; game++) {
        zf_state s;
        zf_position p;
        zf_deal(&s, SEED, ZF_STREAM_DEAL, game);
        play_on(&s, game, 8);
        zf_position_of(&p, &s);
        sum = zf_mix(sum + (uint64_t)zf_solve(solver, &p));
    }
    if (solver) zf_solver_free(solver);
    return sum;
}

/* Whole games with the constant evaluator: descend, expand, choose, record. */
static uint64_t search(size_t n_games, zf_worlds kind, zf_search options, size_t cache_bytes) {
    static zf_game records[64];
    static uint8_t done[64];
    static zf_obs leaves[8];
    static float evals[8 * 8];
    zf_selfplay_config config = {.search = options, .seed = SEED, .stride = 1, .n_trees = 8,
                                 .worlds = kind, .cache_bytes = cache_bytes};
    zf_counts counts;
    config.search.c_puct = 1.4f;
    config.search.max_nodes = 512;
    config.search.n_worlds = 8;
    config.search.temperature = 1.0f;
    config.search.noise_alpha = 0.5f;
    config.search.gumbel_scale = 1.0f;
    zf_selfplay *f = zf_selfplay_new(&config);
    if (!f) exit(1);
    zf_game_queue_limit(zf_selfplay_queue(f), n_games, records, done, 64);
    for (size_t n; (n = zf_selfplay_select(f, leaves)) > 0;) {
        zf_uniform_evaluate(evals, leaves, n);
        zf_selfplay_update(f, evals);
    }
    zf_selfplay_counts(f, &counts);
    zf_selfplay_free(f);
    return counts.simulations ^ counts.evaluations << 32;
}

static uint64_t trees(size_t n) {
    zf_search options = {.n_simulations = 50, .full_share = 1.0f};
    return search(n, ZF_WORLDS_TRUE, options, 0);
}

static uint64_t trees_on_worlds(size_t n) {
    zf_search options = {.n_simulations = 50, .exact_tricks = 3, .full_share = 1.0f};
    return search(n, ZF_WORLDS_SAMPLED, options, 0);
}

static uint64_t gumbel(size_t n) {
    zf_search options = {
        .n_simulations = 32, .exact_tricks = 3, .root = ZF_ROOT_GUMBEL, .full_share = 1.0f};
    return search(n, ZF_WORLDS_SAMPLED, options, 0);
}

/* Everything that saves evaluations. */
static uint64_t thrifty(size_t n) {
    zf_search options = {
        .n_simulations = 50, .exact_tricks = 3, .early_stop = true, .transpositions = true,
        .skip_decided = true, .full_share = 0.5f, .fast_simulations = 16};
    return search(n, ZF_WORLDS_SAMPLED, options, 1 << 20);
}

static uint64_t features(size_t n) {
    static uint8_t out[N_STATES][ZF_FEATURE_BYTES];
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        zf_features(out[0], observed, N_STATES);
        sum += out[i % N_STATES][i % ZF_FEATURE_BYTES];
    }
    return sum;
}

#define WIDTH 128

static uint64_t layer(size_t n, const zf_obs *obs, size_t n_bits) {
    static float table[ZF_N_FEATURES * WIDTH], bias[WIDTH], out[N_STATES][WIDTH];
    float sum = 0.0f;
    for (size_t i = 0; i < n_bits * WIDTH; i++) table[i] = (float)(i % 7);
    for (size_t i = 0; i < n; i++) {
        zf_first_layer(out[0], obs, N_STATES, table, bias, n_bits, WIDTH);
        sum += out[i % N_STATES][i % WIDTH];
    }
    return (uint64_t)sum;
}

static uint64_t first_layer(size_t n) { return layer(n, observed, ZF_N_HAND_FEATURES); }

/* The same of hands that are played for a contract, which the network sees. */
static uint64_t contracts_layer(size_t n) { return layer(n, for_contracts, ZF_N_FEATURES); }

static uint64_t first_gradient(size_t n) {
    static float table[ZF_N_HAND_FEATURES * WIDTH], gradient[N_STATES * WIDTH];
    for (size_t i = 0; i < N_STATES * WIDTH; i++) gradient[i] = (float)(i % 7);
    for (size_t i = 0; i < n; i++)
        zf_first_gradient(table, observed, gradient, N_STATES, ZF_N_HAND_FEATURES, WIDTH);
    return (uint64_t)table[0];
}

static uint64_t answers(size_t n) {
    static float scores[N_STATES * ZF_N_SCORES], out[N_STATES][8];
    float sum = 0.0f;
    for (size_t i = 0; i < N_STATES * ZF_N_SCORES; i++) scores[i] = (float)(i % 7);
    for (size_t i = 0; i < n; i++) {
        zf_answers(out[0], observed, N_STATES, scores);
        sum += out[i % N_STATES][0];
    }
    return (uint64_t)sum;
}

/* A network of the published width in fp32, by the best kernel there is, n_rows at a time. */
static uint64_t network(size_t n, size_t n_rows) {
    enum { NET_WIDTH = 256, N_BLOCKS = 3 };
    static float numbers[ZF_N_HAND_FEATURES * NET_WIDTH], out[N_STATES][8];
    zf_linear square[N_BLOCKS], heads = {numbers, numbers, NET_WIDTH, ZF_N_SCORES};
    float sum = 0.0f;
    for (size_t i = 0; i < ZF_N_HAND_FEATURES * NET_WIDTH; i++)
        numbers[i] = ((float)(i % 13) - 6.0f) / 64.0f;
    for (int b = 0; b < N_BLOCKS; b++)
        square[b] = (zf_linear){numbers, numbers, NET_WIDTH, NET_WIDTH};
    zf_net_weights w = {{NET_WIDTH, N_BLOCKS, false, false}, numbers, numbers, square, square, heads,
                        heads};
    zf_net *net = zf_net_new(&w, zf_net_kernel_for("fp32"), NULL);
    if (!net) exit(1);
    for (size_t i = 0; i < n; i++) {
        zf_net_evaluate(net, observed + i % (N_STATES - n_rows + 1), n_rows, out[0]);
        sum += out[0][i % 8];
    }
    zf_net_free(net);
    return (uint64_t)(1000.0f * sum);
}

static uint64_t network_alone(size_t n) { return network(n, 1); }

static uint64_t network_batch(size_t n) { return network(n, N_STATES); }

/* Rows of one block in int8, by the kernel that valgrind knows on every newer processor. */
static uint64_t int8_block(size_t n) {
    static float numbers[WIDTH * WIDTH], x[N_STATES * WIDTH];
    zf_linear map = {numbers, numbers, WIDTH, WIDTH};
    zf_net_weights w = {.shape = {WIDTH, 1, false, false}, .up = &map, .down = &map};
    zf_net_scales scales = {numbers, numbers, numbers + 1};
    const zf_net_kernel *k = zf_net_kernel_named("int8-avx2");
    if (!k || !k->supported()) k = zf_net_kernel_named("int8-baseline");
    for (size_t i = 0; i < WIDTH * WIDTH; i++) numbers[i] = (float)(i % 7);
    for (size_t i = 0; i < N_STATES * WIDTH; i++) x[i] = (float)(i % 11);
    void *packed = aligned_alloc(64, (k->packed_bytes(&w.shape) + 63) / 64 * 64);
    void *scratch = aligned_alloc(64, (k->scratch_bytes(&w.shape) + 63) / 64 * 64);
    if (!packed || !scratch) exit(1);
    k->pack(packed, &w, &scales);
    for (size_t i = 0; i < n; i++) k->run(packed, &w.shape, x, N_STATES, scratch);
    free(packed);
    free(scratch);
    return (uint64_t)x[0];
}

/* Training examples of one game of first legal plays. */
static uint64_t examples(size_t n) {
    static zf_example out[ZF_N_PLIES];
    zf_game g;
    zf_state s;
    uint64_t sum = 0;
    int ply;
    memset(&g, 0, sizeof g);
    zf_deal(&s, SEED, ZF_STREAM_DEAL, 0);
    for (int seat = 0; seat < 4; seat++)
        for (uint32_t i = 0; i < 7; i++)
            g.hands[seat][i] = (uint8_t)zf_select(s.dealt[seat], i, 7);
    g.decl = s.decl;
    g.leader = s.first_leader;
    play_on(&s, 0, ZF_N_PLIES);
    for (ply = 0; ply < ZF_N_PLIES; ply++) g.plays[ply] = s.plays[ply] & 31u;
    for (size_t i = 0; i < n; i++) {
        if (zf_game_examples(out, &g, &ply) != ZF_GAME_OK) exit(1);
        sum += out[i % ZF_N_PLIES].flags;
    }
    return sum;
}

static const kernel kernels[] = {
    {"random games", 2000, random_games},
    {"whole games", 200, whole_games},
    {"whole games together", 400, whole_games_together},
    {"house plays", 7, house_plays},
    {"nello", 20, nello},
    {"observe", 500, observe},
    {"seat planes", 2000, seat_planes},
    {"worlds", 200, worlds},
    {"past choices", 20, past_choices},
    {"policy games", 200, policy_games},
    {"rollouts against a policy", 100, modelled_rollouts},
    {"solve", 20, solve},
    {"trees", 20, trees},
    {"trees on worlds", 20, trees_on_worlds},
    {"gumbel root", 20, gumbel},
    {"thrifty search", 20, thrifty},
    {"features", 100, features},
    {"first layer", 20, first_layer},
    {"first layer, contracts", 20, contracts_layer},
    {"first gradient", 20, first_gradient},
    {"answers", 20, answers},
    {"network, one row", 100, network_alone},
    {"network, 64 rows", 20, network_batch},
    {"int8 block", 20, int8_block},
    {"examples", 400, examples},
};

__attribute__((noinline, noclone)) uint64_t measured(const kernel *k, size_t units);
uint64_t measured(const kernel *k, size_t units) { return k->run(units); }

int main(int argc, char **argv) {
    size_t n_kernels = sizeof kernels / sizeof *kernels;
    if (argc != 3) {
        for (size_t i = 0; i < n_kernels; i++) puts(kernels[i].name);
        return 0;
    }
    prepare();
    for (size_t i = 0; i < n_kernels; i++) {
        if (strcmp(argv[1], kernels[i].name) != 0) continue;
        printf("%llu\n", (unsigned long long)measured(
            &kernels[i], kernels[i].units * strtoul(argv[2], NULL, 10) / 100));
        return 0;
    }
    fprintf(stderr, "no kernel %s\n", argv[1]);
    return 2;
}
