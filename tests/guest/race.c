/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A native task that lets threads of four domains, and vCPUs of two guests, act at random on two CPUs until so many
 * operations have been done: calls (also to handlers that die, are busy, or wait), signals, waits, delegation, mapping,
 * revocation, destruction and creation. Each result must be one that can be; what passes through calls is checked; every
 * thread and vCPU must get on. Then all that is left keeps still, in all states that one can block in, so that the
 * hypervisor's structures can be looked at; at a key press, all is destroyed, and the account must have all its pages back.
 * `bootargs`: ops=N, vcpus=N (0: none), seed=N (0: any).
 */
#include "race/race.h"

#include <corbel/state.h>

#include <stdlib.h>
#include <string.h>

#define PAYER_PAGES 256u
#define RECALL_MS 15u        /* a thread that has been in a call or wait for so long is recalled */
#define PATIENCE_MS 200000u  /* one that does not get on for so long is stuck, on a machine that is busy with much else */
#define MANY 200000u         /* operations, among which even what is rare must occur */
#define WARM_UP 5000u        /* operations: make what stays */
#define PRIORITY 12u         /* of those who act */
#define PAIR_PRIORITY 20u
#define PAIR_BUDGET 500u     /* us */
#define PAIR_PERIOD 5000u

static struct thread *crew[WORKERS + PAIR], *servants[3 * CPUS];
static uint32_t pair_events[PAIR];
static uint64_t seed, recalls;

/* ---- Those who are there throughout ---- */

/*
 * Each signals the other, and waits without a deadline; and each calls the other CPU's immortal handler. Nobody recalls
 * them: a signal, a call or a reply that got lost would be noticed.
 */
static void pair(void *actor)
{
    struct actor *self = actor;
    uint32_t me = self->index - THREAD_PAIR, other = (self->cpu + 1) % world->cpus;

    while (world->phase == PHASE_RUN) {
        uint64_t bits = 0, r = draw();
        struct cb_args m = { .a1 = r };

        did(OP_signal, cb_signal(pair_events[1 - me]));
        if (did(OP_wait, cb_wait(pair_events[me], 0, CB_DEADLINE_NONE, &bits)) != CB_OK || bits != 1)
            wrong("a wait took bits that nobody has sent", bits, 0);
        self->op = OP_call;
        if (did(OP_call, cb_call(sel_named(SEL_ECHO) + other, &m)) != CB_OK || m.a1 != ~r || m.a2 != other)
            wrong("a call to the other CPU went astray", m.a1, r);
        self->op = OP_signal;
        thread_sleep_us(draw() % 500);
    }
    (void)!cb_signal(pair_events[1 - me]);
    for (;;)
        keep_still(self);
}

static void serve_echo(uint64_t badge, struct cb_args *message)
{
    message->a1 = ~message->a1;
    message->a2 = badge;
}

/* Keeps its caller, and whoever else calls, until it is destroyed. */
static void serve_still(uint64_t badge, struct cb_args *message)
{
    (void)badge;
    (void)message;
    for (;;)
        thread_sleep_us(3600000000u);
}

static void must(uint64_t status, const char *what)
{
    if (status != CB_OK)
        panic("race: %s: %s", what, cb_status_name(status));
}

static void actors_init(void)
{
    for (uint32_t i = 0; i < ACTORS; i++) {
        struct actor *a = &world->actors[i];

        *a = (struct actor){ .index = i, .handler = i < HANDLERS, .cpu = i % world->cpus };
        a->vcpu = i >= MORTALS - VCPUS && i < WORKER;
        if (i < WORKER) {
            a->sel = sel_alloc();
            a->sched = sel_alloc();
        }
    }
}

/* A handler that is always there, for both CPUs. */
static void servant_start(uint32_t cpu, thread_handler_fn *function, uint32_t name)
{
    struct thread **servant = &servants[name - SEL_STILL + cpu];

    must(thread_handler(cpu, function, NULL, servant), "handler");
    must(thread_handler_serve(*servant, PAIR_PRIORITY), "handler");
    must(cb_portal_create(CB_TASK_SEL_ACCOUNT, sel_named(name) + cpu, (*servant)->sel, (uint64_t)thread_portal_entry, cpu, 0,
                          LEVEL_ROOT),
         "portal");
}

static void start(void)
{
    world->phase = PHASE_RUN;
    must(cb_account_create(CB_TASK_SEL_ACCOUNT, sel_named(SEL_PAYER), PAYER_PAGES), "account");
    must(cb_derive(CB_TASK_SEL_DOMAIN, sel_named(SEL_DOMAIN), CB_SELF, CB_RIGHT_INSERT | CB_RIGHT_POPULATE, 0, 0), "domain");
    for (uint32_t cpu = 0; cpu < world->cpus; cpu++) {
        servant_start(cpu, serve_still, SEL_STILL);
        servant_start(cpu, serve_still, SEL_FAR);
        servant_start(cpu, serve_echo, SEL_ECHO);
    }
    must(vmm_start(), "VMM");
    if (world->features && !pair_make(seed))
        panic("race: the pair of vCPUs cannot be made");
    for (uint32_t i = 0; i < PAIR; i++)
        must(cb_event_create(CB_TASK_SEL_ACCOUNT, pair_events[i]), "event");
    for (uint32_t i = 0; i < WORKERS + PAIR; i++) {
        struct actor *a = &world->actors[WORKER + i];

        a->still = false;
        a->incarnation++;
        seed_actor(a, seed);
        must(cb_event_create(CB_TASK_SEL_ACCOUNT, sel_named(SEL_OWN) + a->index), "event");
        if (i < WORKERS)
            must(thread_start(a->cpu, PRIORITY, work, a, &crew[i]), "worker");
        else
            must(thread_start_budget(a->cpu, PAIR_PRIORITY, PAIR_BUDGET, PAIR_PERIOD, pair, a, &crew[i]), "pair");
    }
}

/* ---- The watch ---- */

static bool is_there(uint32_t sel, uint32_t type)
{
    struct cb_identity identity;

    return cb_identify(sel, &identity) == CB_OK && identity.type == type;
}

/* Must it get on? Not a handler that nobody calls, a thread without time, or one that stopped at a fault. */
static bool is_bound_to_move(const struct actor *a)
{
    if (a->index >= WORKER)
        return true;
    if (a->index >= MORTALS)
        return world->features;
    return a->alive && !a->handler && a->op != OP_fault && is_there(a->sel, a->vcpu ? CB_TYPE_VCPU : CB_TYPE_THREAD) &&
           is_there(a->sched, CB_TYPE_SCHED);
}

static const char *op_name(uint64_t op)
{
    static const char *const names[] = {
#define NAME(name, may) #name,
        OPS(NAME)
#undef NAME
    };

    return op < OP_COUNT ? names[op] : "?";
}

static bool stuck(const struct actor *a)
{
    print("race: actor %u (%s, CPU %u, domain %u) does not get on: its last operation is %s, number %lu\n", a->index,
          a->vcpu ? "vCPU" : a->index < MORTALS ? "client" : a->index < THREAD_PAIR ? "worker" : "pair", a->cpu, a->home,
          op_name(a->op), a->done);
    return false;
}

static struct watch {
    uint64_t done;
    uint64_t since;  /* when that was seen first */
    uint64_t recall; /* when it is to be recalled */
} watches[ACTORS];

static bool is_paired(const struct actor *a)
{
    return a->index >= THREAD_PAIR || (a->index >= MORTALS && a->index < WORKER);
}

/*
 * Calls that go round in a circle between CPUs end when somebody recalls a caller, and so do waits for events that
 * nobody signals. False: it does not get on all the same; or is one of the pair, whose calls and waits end by themselves.
 */
static bool watch_one(struct actor *a, struct watch *w)
{
    uint64_t now = clock_tsc();

    if (a->done != w->done || a->still) {
        *w = (struct watch){ a->done, now, now + clock_ticks(RECALL_MS * 1000) };
        return true;
    }
    if (now >= w->recall && !is_paired(a) && (a->op == OP_call || a->op == OP_wait)) {
        (void)!cb_recall(a->index < MORTALS ? a->sel : crew[a->index - WORKER]->sel);
        recalls += is_bound_to_move(a);
        w->recall = now + clock_ticks(RECALL_MS * 1000);
    }
    return now - w->since < clock_ticks(PATIENCE_MS * 1000) || !is_bound_to_move(a) || stuck(a);
}

/* At random: those of the pair do not count. */
static uint64_t operations(void)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < THREAD_PAIR; i++)
        sum += is_paired(&world->actors[i]) ? 0 : world->actors[i].done;
    return sum;
}

static bool all_well(void)
{
    for (uint32_t i = 0; i < ACTORS; i++)
        if (!watch_one(&world->actors[i], &watches[i]))
            return false;
    if (!__atomic_load_n(&world->wrong, __ATOMIC_ACQUIRE))
        return true;
    print("race: actor %lu: %s: %s %lx %lx\n", world->wrong_actor, world->wrong, op_name(world->wrong_op), world->wrong_a,
          world->wrong_b);
    return false;
}

static bool all_still(void)
{
    for (uint32_t i = 0; i < ACTORS; i++)
        if (!world->actors[i].still && is_bound_to_move(&world->actors[i]))
            return false;
    return true;
}

/* Until so many operations have been done; then until all keep still. */
static bool run(uint64_t count)
{
    uint64_t end = operations() + count;

    for (uint32_t i = 0; i < ACTORS; i++)
        watches[i] = (struct watch){ 0, clock_tsc(), clock_in(RECALL_MS * 1000) };
    while (operations() < end) {
        thread_sleep_us(5000);
        if (!all_well())
            return false;
    }
    world->phase = PHASE_STILL;
    for (uint32_t i = 0; !all_still(); i++) {
        thread_sleep_us(10000);
        for (uint32_t a = 0; a < MORTALS; a++)
            if (i % 50 == 49 && !world->actors[a].still)
                (void)!cb_recall(world->actors[a].sel);
        if (!all_well())
            return false;
    }
    return true;
}

/* ---- The end ---- */

static uint64_t pages_used(void)
{
    uint64_t counters[5] = { 0 };

    (void)!cb_counters(CB_TASK_SEL_ACCOUNT, 0, counters);
    return counters[1];
}

static void destroy_all(void)
{
    for (uint32_t i = 0; i < WORKERS + PAIR; i++)
        thread_destroy(crew[i]);
    for (uint32_t i = 0; i < MORTALS; i++)
        mortal_remove(&world->actors[i]);
    pair_remove();
    for (uint32_t h = 1; h < HOME_PAIR; h++)
        home_remove(h);
    vmm_end();
    for (uint32_t i = 0; i < sizeof(servants) / sizeof(servants[0]); i++) {
        if (servants[i])
            thread_destroy(servants[i]);
        servants[i] = NULL;
    }
    for (uint32_t i = 0; i < SEL_COUNT; i++)
        (void)!cb_revoke(sel_named(i), i == SEL_RAM ? 0 : CB_REVOKE_SELF);
    for (uint32_t i = 0; i < PAIR; i++)
        (void)!cb_destroy(pair_events[i]);
}

static bool is_guests(enum op op)
{
    return op >= OP_vcpu_create && op <= OP_exit;
}

/* Have vCPUs had all exits that there are for them, and interrupts of all kinds? */
static bool guests_complete(void)
{
    static const uint32_t classes[] = { CB_EXIT_START,  CB_EXIT_RECALL, CB_EXIT_CPUID, CB_EXIT_IO,
                                        CB_EXIT_MEMORY, CB_EXIT_RDMSR,  CB_EXIT_WRMSR, CB_EXIT_WINDOW };
    bool complete = world->upcalls && world->sent;

    for (uint32_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        print("race: %lu exits of class %u\n", world->exits[classes[i]], classes[i]);
        complete &= world->exits[classes[i]] > 0;
    }
    print("race: %lu upcalls, %lu other interrupts\n", world->upcalls, world->sent);
    return complete || !world->features;
}

/* Has every operation been seen to succeed, and to fail where it must have? */
static bool is_complete(uint64_t count)
{
    static const struct { enum op op; enum cb_status status; } wanted[] = {
        { OP_call, CB_ABORTED }, { OP_call, CB_BUSY }, { OP_wait, CB_TIMEOUT }, { OP_wait, CB_ABORTED }, { OP_wait, CB_BUSY },
        { OP_thread_create, CB_NO_MEMORY }, { OP_account_create, CB_NO_MEMORY }, { OP_frame_create, CB_NO_ROOM },
        { OP_derive, CB_OCCUPIED }, { OP_map, CB_OCCUPIED }, { OP_destroy, CB_BAD_RIGHT },
    };
    bool complete = world->replies > 0 && (world->cpus == 1 || world->remote > 0) && guests_complete();

    for (uint32_t op = 0; op < OP_COUNT; op++) {
        char line[256];
        int used = snprintf(line, sizeof(line), "race: %s:", op_name(op));

        for (uint32_t status = 0; status < STATUSES; status++)
            if (world->counts[op][status])
                used += snprintf(line + used, sizeof(line) - (size_t)used, " %s %lu", cb_status_name(status),
                                 world->counts[op][status]);
        print("%s\n", line);
        complete &= world->counts[op][CB_OK] > 0 || (is_guests(op) && !world->features);
    }
    for (uint32_t i = 0; count >= MANY && i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (world->counts[wanted[i].op][wanted[i].status])
            continue;
        print("race: %s never gave %s\n", op_name(wanted[i].op), cb_status_name(wanted[i].status));
        complete = false;
    }
    return complete;
}

static void wait_for_key(const char *what)
{
    char key;

    print("race: %s; press a key\n", what);
    (void)stream_read(&key, 1, CB_DEADLINE_NONE);
}

void task_main(const struct cb_task_info *info)
{
    uint64_t count = task_number("ops=", MANY), before, done;

    seed = task_number("seed=", 0);
    seed = seed ? seed : random_u64();
    homes_init();
    world->cpus = info->cpu_count < CPUS ? info->cpu_count : CPUS;
    vmm_init(info);
    actors_init();
    thread_self()->argument = &world->actors[WORKER]; /* while no worker runs: it makes some of their operations */
    for (uint32_t i = 0; i < PAIR; i++)
        pair_events[i] = sel_alloc();
    print("race: seed 0x%lx, %lu operations\n", seed, count);

    start();
    if (!run(WARM_UP))
        task_exit(CB_EXIT_REASON_FAILED, "failed while it warmed up");
    destroy_all();
    before = pages_used();
    done = operations();
    start();
    if (!run(count))
        task_exit(CB_EXIT_REASON_FAILED, "failed");
    done = operations() - done;
    wait_for_key("all keep still");
    destroy_all();
    if (!is_complete(count) || world->wrong)
        task_exit(CB_EXIT_REASON_FAILED, "not all was seen");
    print("race: %lu operations, %lu replies, %lu of them from another CPU, %lu recalls by the watch\n", done,
          world->replies, world->remote, recalls);
    print("race: pages used: %lu before, %lu after\n", before, pages_used());
    if (pages_used() != before)
        task_exit(CB_EXIT_REASON_FAILED, "pages are missing");
    wait_for_key("ok");
}
