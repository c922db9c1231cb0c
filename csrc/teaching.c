#include "teaching.h"

#include <math.h>
#include <stdlib.h>

#include "engine.h"
#include "observe.h"
#include "rng.h"
#include "solve.h"
#include "tree.h"
#include "worlds.h"

enum {
    /* Work of one select: some tens of milliseconds, so that whoever asks for an end is heard. */
    NODES_A_SELECT = 1 << 20,
    HALF = ZF_WIN_POINTS - 1, /* 21 */
};

/* One rollout under way. */
typedef struct {
    zf_state state;
    uint8_t play; /* slot of the play it began with */
} lane;

typedef enum {
    TO_ASK, /* at a decision whose policy is not known */
    ASKED,
    KNOWN,   /* not yet looked at by the teacher */
    ROLLING, /* lanes under way */
} phase;

typedef struct {
    zf_state state;
    uint64_t number, game; /* of the own sequence; what the randomness sees */
    bool active;
    phase phase;
    float prior[7];
    uint32_t slots; /* legal ones */
    lane *lanes;
    uint32_t n_lanes;
    /* Of each legal play, by slot: sums over the worlds, for the side of the seat to play. */
    int32_t points[7], signs[7];
    uint32_t n_worlds; /* 0 = this decision gets no label */
    /* Final points of team 0 if everybody plays favourites from here on: a rollout of the play
     * before has shown it. -1 = not known. */
    int32_t known;
} slot;

struct zf_teaching {
    zf_teaching_config config;
    zf_teaching_counts counts;
    zf_solver *solver;
    slot *slots;
    lane *lanes;
    uint32_t (*hands)[4]; /* of the worlds of one decision */
    uint32_t *waiting; /* 2 * slot, or 2 * slot + 1 for one of its lanes; in order of observations */
    uint32_t *lane_of; /* which of them */
    size_t n_waiting;
    uint32_t turn; /* the slot that the next select begins with */
    zf_sequence sequence;
};

static size_t lanes_of(const zf_teaching_config *c) {
    size_t worlds = c->n_worlds ? c->n_worlds : 1;
    return c->teacher == ZF_TEACHER_ROLLOUT ? ZF_MAX_EDGES * worlds : 0;
}

size_t zf_teaching_room(const zf_teaching_config *c) {
    size_t lanes = lanes_of(c);
    return c->n_games * (lanes ? lanes : 1);
}

zf_teaching *zf_teaching_new(const zf_teaching_config *c) {
    zf_teaching *t = calloc(1, sizeof *t);
    size_t room = zf_teaching_room(c), lanes = lanes_of(c);
    if (!t) return NULL;
    t->config = *c;
    t->sequence = (zf_sequence){.first_game = c->first_game, .stride = c->stride};
    t->solver = zf_solver_new(ZF_DEFAULT_TABLE_BITS);
    t->slots = calloc(c->n_games, sizeof *t->slots);
    t->lanes = calloc(c->n_games * lanes + 1, sizeof *t->lanes);
    t->hands = calloc(c->n_worlds + 1, sizeof *t->hands);
    t->waiting = calloc(room, sizeof *t->waiting);
    t->lane_of = calloc(room, sizeof *t->lane_of);
    if (!t->solver || !t->slots || !t->lanes || !t->hands || !t->waiting || !t->lane_of) {
        zf_teaching_free(t);
        return NULL;
    }
    for (uint32_t i = 0; i < c->n_games; i++) t->slots[i].lanes = t->lanes + i * lanes;
    return t;
}

void zf_teaching_free(zf_teaching *t) {
    if (!t) return;
    if (t->solver) zf_solver_free(t->solver);
    free(t->slots);
    free(t->lanes);
    free(t->hands);
    free(t->waiting);
    free(t->lane_of);
    free(t);
}

zf_sequence *zf_teaching_sequence(zf_teaching *t) { return &t->sequence; }

/* The first decision at or behind the position, or the end of the game. */
static void meet_decision(slot *s) {
    zf_play_forced(&s->state);
    s->phase = TO_ASK;
    if (!zf_over(&s->state))
        s->slots = zf_compress(zf_legal(&s->state), s->state.dealt[s->state.to_play]);
}

static void start_game(zf_teaching *t, slot *s) {
    s->number = zf_sequence_start(&t->sequence, &s->game);
    s->active = true;
    s->known = -1;
    zf_deal(&s->state, t->config.seed, ZF_STREAM_DEAL, s->game);
    zf_game_begin(zf_sequence_record(&t->sequence, s->number), &s->state);
    meet_decision(s);
}

static void finish_game(zf_teaching *t, slot *s) {
    zf_game *g = zf_sequence_record(&t->sequence, s->number);
    for (int ply = 0; ply < ZF_N_PLIES; ply++) g->plays[ply] = s->state.plays[ply] & 31u;
    zf_sequence_finish(&t->sequence, s->number);
    t->counts.games++;
    t->counts.plays += ZF_N_PLIES;
    s->active = false;
}

/* The play from which on rollouts are solved. */
static int stop_of(const zf_teaching *t) {
    return ZF_N_PLIES - 4 * (int)t->config.exact_tricks;
}

/* Play forced dominoes of a rollout. Final points of team 0 if that ends it, else -1. */
static int run_lane(zf_teaching *t, zf_state *s) {
    while (s->n_plays < stop_of(t)) {
        uint32_t legal = zf_legal(s);
        if (legal & (legal - 1)) return -1;
        zf_play(s, (uint32_t)__builtin_ctz(legal));
    }
    if (zf_over(s)) return s->points[0];
    zf_position p;
    zf_position_of(&p, s);
    t->counts.solver_calls++;
    return s->points[0] + zf_solve(t->solver, &p);
}

/* In one world, team 0 ends with so many points after the play in this slot. */
static void add_points(slot *s, uint32_t play, int team0) {
    int own = s->state.to_play & 1 ? ZF_POINTS - team0 : team0;
    s->points[play] += own;
    s->signs[play] += (own > HALF) - (own < HALF);
}

/* What follows each legal play with the hands of w, by the solver. */
static void solve_plays(zf_teaching *t, slot *s, const zf_state *w) {
    int8_t points[ZF_N_DOMINOES];
    zf_position p;
    zf_position_of(&p, w);
    zf_solve_plays(t->solver, &p, points);
    t->counts.solver_calls++;
    for (uint32_t slots = s->slots; slots; slots &= slots - 1) {
        uint32_t play = (uint32_t)__builtin_ctz(slots);
        add_points(s, play, w->points[0] + points[zf_slot_domino(w, play)]);
    }
}

/* A rollout of each legal play with the hands of w; none of a play whose end is known. */
static void open_lanes(zf_teaching *t, slot *s, const zf_state *w) {
    for (uint32_t slots = s->slots; slots; slots &= slots - 1) {
        uint32_t play = (uint32_t)__builtin_ctz(slots);
        if (s->known >= 0 && play == zf_favourite(s->prior, s->slots)) {
            add_points(s, play, s->known);
            continue;
        }
        lane *l = &s->lanes[s->n_lanes];
        l->state = *w;
        l->play = (uint8_t)play;
        zf_play(&l->state, zf_slot_domino(w, play));
        int team0 = run_lane(t, &l->state);
        t->counts.rollouts++;
        if (team0 >= 0)
            add_points(s, play, team0);
        else
            s->n_lanes++;
    }
}

/* The worlds of a decision into t->hands: all there are, or draws as sample_worlds makes them. */
static uint32_t draw_worlds(zf_teaching *t, const slot *s) {
    zf_world_set set;
    uint64_t count = zf_worlds_init(&set, &s->state, s->state.to_play);
    uint32_t n = t->config.n_worlds;
    uint64_t key = zf_stream_key(t->config.seed, ZF_STREAM_WORLDS, s->game);
    if (count > n) {
        zf_worlds_sample_many(&set, key, (uint64_t)s->state.n_plays << 32, n, t->hands);
        return n;
    }
    for (uint32_t i = 0; i < count; i++) zf_worlds_unrank(&set, i, t->hands[i]);
    return (uint32_t)count;
}

/* Begin to label the decision, if it is one of those to be labelled. */
static void teach(zf_teaching *t, slot *s) {
    uint64_t key = zf_stream_key(t->config.seed, ZF_STREAM_CAP, s->game);
    s->phase = ROLLING;
    s->n_lanes = s->n_worlds = 0;
    if (zf_unit(key, s->state.n_plays) >= (double)t->config.label_share) return;
    memset(s->points, 0, sizeof s->points);
    memset(s->signs, 0, sizeof s->signs);
    bool sampled = t->config.n_worlds > 0;
    s->n_worlds = sampled ? draw_worlds(t, s) : 1;
    for (uint32_t i = 0; i < s->n_worlds; i++) {
        zf_state w = s->state;
        if (sampled) zf_worlds_apply(&w, t->hands[i]);
        if (t->config.teacher == ZF_TEACHER_EXACT)
            solve_plays(t, s, &w);
        else
            open_lanes(t, s, &w);
    }
}

/* The decision's label as zebfast/selfplay/play_values.py packs it. */
static void record_label(zf_teaching *t, slot *s) {
    zf_game *g = zf_sequence_record(&t->sequence, s->number);
    int n = (int)s->n_worlds;
    for (uint32_t slots = s->slots; slots; slots &= slots - 1) {
        int play = __builtin_ctz(slots);
        int eighths = (16 * s->points[play] + n) / (2 * n);
        int balance = (2 * 63 * (n + s->signs[play]) + n) / (2 * n);
        g->policy[s->state.n_plays][play] = (uint16_t)((eighths + 1) << 7 | balance);
    }
    t->counts.labels++;
}

/* The slot that the game goes on with: by the policy, or sometimes at random. */
static uint32_t choose(const zf_teaching *t, const slot *s) {
    const zf_teaching_config *c = &t->config;
    uint64_t ply = s->state.n_plays, noise = zf_stream_key(c->seed, ZF_STREAM_NOISE, s->game);
    uint32_t best = zf_favourite(s->prior, s->slots), last = best;
    if (zf_unit(noise, 2 * ply) < (double)c->explore) {
        uint32_t n = (uint32_t)__builtin_popcount(s->slots);
        return zf_select(s->slots, zf_bounded(noise, 2 * ply + 1, n), ZF_MAX_EDGES);
    }
    if (c->temperature == 0.0f || !(s->prior[best] > 0.0f)) return best;
    double weight[7], sum = 0.0;
    for (uint32_t slots = s->slots; slots; slots &= slots - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(slots);
        double share = (double)s->prior[i] / (double)s->prior[best];
        sum += weight[i] = share > 0.0 ? pow(share, 1.0 / (double)c->temperature) : 0.0;
    }
    double at = zf_unit(zf_stream_key(c->seed, ZF_STREAM_PLAY, s->game), ply) * sum;
    for (uint32_t slots = s->slots; slots; slots &= slots - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(slots);
        if (at < weight[i]) return i;
        at -= weight[i];
    }
    return last;
}

/* Record the label, play, and go to the next decision. */
static void play_on(zf_teaching *t, slot *s) {
    uint32_t play = choose(t, s);
    bool on_deal = t->config.teacher == ZF_TEACHER_ROLLOUT && t->config.n_worlds == 0;
    if (s->n_worlds) {
        int points = s->points[play];
        record_label(t, s);
        s->known = !on_deal ? -1 : s->state.to_play & 1 ? ZF_POINTS - points : points;
    } else if (play != zf_favourite(s->prior, s->slots)) {
        s->known = -1;
    }
    zf_play(&s->state, zf_slot_domino(&s->state, play));
    meet_decision(s);
    /* From here on the rollout was solved: what it showed was not the favourites'. */
    if (s->state.n_plays >= stop_of(t)) s->known = -1;
}

static void hand_out(zf_teaching *t, zf_obs *obs, const zf_state *s, uint32_t who, uint32_t which) {
    zf_observe(&obs[t->n_waiting], s);
    t->waiting[t->n_waiting] = who;
    t->lane_of[t->n_waiting++] = which;
}

/* Up to where this slot needs the network; nothing is handed out if it has no game left. */
static void run_slot(zf_teaching *t, uint32_t number, zf_obs *obs) {
    slot *s = &t->slots[number];
    for (;;) {
        if (!s->active) {
            if (!zf_sequence_has_next(&t->sequence)) return;
            start_game(t, s);
        }
        if (zf_over(&s->state)) {
            finish_game(t, s);
            continue;
        }
        if (s->phase == TO_ASK) {
            hand_out(t, obs, &s->state, 2 * number, 0);
            s->phase = ASKED;
            return;
        }
        if (s->phase == KNOWN) teach(t, s);
        if (s->n_lanes) {
            for (uint32_t i = 0; i < s->n_lanes; i++)
                hand_out(t, obs, &s->lanes[i].state, 2 * number + 1, i);
            return;
        }
        play_on(t, s);
    }
}

size_t zf_teaching_select(zf_teaching *t, zf_obs *obs) {
    uint64_t enough = zf_solver_nodes(t->solver) + NODES_A_SELECT;
    uint32_t n = t->config.n_games;
    t->n_waiting = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (t->n_waiting && zf_solver_nodes(t->solver) >= enough) break;
        run_slot(t, t->turn, obs);
        t->turn = t->turn + 1 == n ? 0 : t->turn + 1;
    }
    t->counts.evaluations += t->n_waiting;
    return t->n_waiting;
}

/* A lane's evaluation: play the favourite, and on to the next decision. True if that ended it. */
static bool advance_lane(zf_teaching *t, slot *s, lane *l, const float *eval) {
    uint32_t slots = zf_compress(zf_legal(&l->state), l->state.dealt[l->state.to_play]);
    zf_play(&l->state, zf_slot_domino(&l->state, zf_favourite(eval, slots)));
    int team0 = run_lane(t, &l->state);
    if (team0 >= 0) add_points(s, l->play, team0);
    return team0 >= 0;
}

int64_t zf_teaching_update(zf_teaching *t, const float *evals) {
    for (size_t i = 0; i < 8 * t->n_waiting; i++)
        if (!isfinite(evals[i])) return (int64_t)(i / 8);
    for (size_t i = t->n_waiting; i-- > 0;) { /* backwards: the last lane takes an ended one's place */
        slot *s = &t->slots[t->waiting[i] / 2];
        if (t->waiting[i] & 1) {
            lane *l = &s->lanes[t->lane_of[i]];
            if (advance_lane(t, s, l, evals + 8 * i)) *l = s->lanes[--s->n_lanes];
        } else {
            memcpy(s->prior, evals + 8 * i, sizeof s->prior);
            s->phase = KNOWN;
        }
    }
    t->n_waiting = 0;
    return -1;
}

void zf_teaching_forget(zf_teaching *t) {
    for (uint32_t i = 0; i < t->config.n_games; i++) t->slots[i].known = -1;
}

void zf_teaching_counts_of(const zf_teaching *t, zf_teaching_counts *out) { *out = t->counts; }

size_t zf_teaching_bytes(const zf_teaching *t) {
    const zf_teaching_config *c = &t->config;
    size_t room = zf_teaching_room(c);
    return sizeof *t + zf_solver_bytes(t->solver) + c->n_games * sizeof *t->slots +
           (c->n_games * lanes_of(c) + 1) * sizeof *t->lanes +
           (c->n_worlds + 1) * sizeof *t->hands + 2 * room * sizeof *t->waiting;
}
