/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The workers make and destroy what has memory that must not be in use twice: mortals (stacks) and homes, the domains
 * that they live in. Others may destroy them as well, at any time.
 */
#include "race.h"

#include <corbel/state.h>

#include <string.h>

#define HOME_PAGES 80u   /* of its account, at most: not always enough */
#define GUEST_PAGES 48u  /* for vCPUs, a few more */
#define HOME_RAM 32u
#define PRIORITY 12u
#define ARENA_PAGES ((sizeof(struct world) + CB_PAGE_SIZE - 1) / CB_PAGE_SIZE)
#define IMAGE_START 0x400000ull

extern const char image_end[]; /* task.ld */
void thread_entry(void);       /* start.S */

#define ALL_HOMES (HOMES + GUESTS)

/* Those of threads, then those of vCPUs. */
static struct home {
    uint32_t lock;
    bool alive;             /* lock */
    uint32_t domain, account, ram; /* constant: selectors here */
} homes[ALL_HOMES];

static uint32_t image, arena; /* frames: a copy of the program; the arena (pages_alloc() has its own: race.c maps it) */

static bool try(uint32_t *lock)
{
    return !__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE);
}

static void drop(uint32_t *lock)
{
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

#define DO(name, ...) (actor_self()->op = OP_##name, did(OP_##name, cb_##name(__VA_ARGS__)))

/*
 * What others have destroyed may not have come to an end yet, and revoking what has gone already waits for nothing:
 * so wait for something that ends later.
 */
static void settle(void)
{
    uint32_t event = sel_named(SEL_OWN) + actor_self()->index;

    for (int i = 0; i < 2; i++) {
        (void)!cb_revoke(event, CB_REVOKE_SELF);
        DO(event_create, CB_TASK_SEL_ACCOUNT, event);
    }
}

static void remove(uint32_t sel)
{
    if (DO(revoke, sel, CB_REVOKE_SELF) != CB_OK)
        settle();
}

/* ---- Homes ---- */

/* Of vCPUs, too, addresses are the same: there they are guest-physical. */
static bool home_map(uint32_t d)
{
    uint32_t slot = sel_named(SEL_IMAGE), image_pages = (uint32_t)((uint64_t)image_end - IMAGE_START) / 4096;

    return DO(map, image, CB_MAP_READ | CB_MAP_WRITE | CB_MAP_EXEC, slot, d, IMAGE_START, 0, image_pages) == CB_OK &&
           DO(map, arena, CB_MAP_READ | CB_MAP_WRITE, slot + 1, d, (uint64_t)world, 0, (uint32_t)ARENA_PAGES) == CB_OK &&
           DO(derive, d, sel_named(SEL_DOMAIN), d, CB_RIGHT_INSERT | CB_RIGHT_POPULATE | CB_RIGHT_FLUSH, 0, 0) == CB_OK;
}

static bool home_fill(uint32_t h)
{
    const struct home *home = &homes[h];
    uint32_t d = home->domain;
    bool suicidal = draw() % 2;

    if (!home_map(d) || DO(derive, home->account, sel_named(SEL_PAYER), d, CB_RIGHT_PAY | CB_RIGHT_READ, 0, 0) != CB_OK ||
        DO(ram_split, home->ram, sel_named(SEL_RAM), d, HOME_RAM / 2, 1) != CB_OK)
        return false;
    for (uint32_t cpu = 0; cpu < world->cpus; cpu++)
        if (DO(derive, CB_TASK_SEL_SCHED(cpu), CB_TASK_SEL_SCHED(cpu), d, CB_RIGHT_CONTROL, 0, 0) != CB_OK)
            return false;
    for (uint32_t still = sel_named(SEL_STILL); still < sel_named(SEL_ECHO); still++)
        DO(derive, still, still, d, CB_RIGHT_CALL, 0, 0);
    /* Into its own pool and the task's, to be passed on; with the right to destroy it, sometimes. */
    DO(derive, d, sel_pool(DOMAIN, draw()), d, suicidal ? CB_RIGHTS_ALL : CB_RIGHT_INSERT, 0, 0);
    DO(derive, d, sel_pool(DOMAIN, draw()), CB_SELF, draw() % 4 ? CB_RIGHT_INSERT : CB_RIGHTS_ALL, 0, 0);
    DO(derive, home->account, sel_pool(ACCOUNT, draw()), d, draw() % 4 ? CB_RIGHT_PAY : CB_RIGHTS_ALL, 0, 0);
    DO(derive, sel_named(SEL_DOMAIN), sel_pool(DOMAIN, draw()), d, CB_RIGHT_INSERT, 0, 0);
    return true;
}

void home_remove(uint32_t h)
{
    struct home *home = &homes[h];

    if (draw() % 2)
        DO(destroy, home->domain);
    remove(home->account);
    remove(home->domain);
    DO(revoke, home->ram, 0);
    world->ports[h] = world->ports_soon[h] = 0;
    home->alive = false;
}

static void home_renew(uint32_t h)
{
    struct home *home = &homes[h];
    bool guest = h >= HOMES;

    if (h == 0 || !try(&home->lock))
        return;
    if (home->alive && (!guest || draw() % 4 == 0)) {
        home_remove(h);
    } else if (!home->alive) {
        home->alive = DO(account_create, CB_TASK_SEL_ACCOUNT, home->account,
                         HOME_PAGES + (guest ? GUEST_PAGES : 0) - draw() % 64) == CB_OK;
        if (home->alive &&
            (DO(domain_create, home->account, guest ? CB_DOMAIN_GUEST : 0, home->domain) != CB_OK || !home_fill(h)))
            home_remove(h);
    }
    drop(&home->lock);
}

/* What a home must have, and the task's domain too. Before the workers start. */
void homes_init(void)
{
    uint64_t address = pages_space(ARENA_PAGES * CB_PAGE_SIZE, CB_PAGE_SIZE);
    uint64_t image_pages = ((uint64_t)image_end - IMAGE_START) / CB_PAGE_SIZE;
    uint64_t copy = pages_space(image_pages * CB_PAGE_SIZE, CB_PAGE_SIZE);
    uint32_t slots = sel_alloc_range(8), slot = slots, sels = sel_alloc_range(SEL_COUNT);

    image = sel_alloc();
    arena = sel_alloc();
    if (pages_frame(image_pages, 1, image) != CB_OK || pages_frame(ARENA_PAGES, 1, arena) != CB_OK ||
        pages_map(image, CB_MAP_READ | CB_MAP_WRITE, CB_SELF, &slot, slots + 4, copy, 0, image_pages) != CB_OK ||
        pages_map(arena, CB_MAP_READ | CB_MAP_WRITE, CB_SELF, &slot, slots + 8, address, 0, ARENA_PAGES) != CB_OK)
        panic("race: no memory");
    world = (struct world *)address;
    memset(world, 0, sizeof(*world));
    world->sels = sels;
    world->window = pages_space((WINDOW_PAGES + 2 * ACTORS) * CB_PAGE_SIZE, CB_PAGE_SIZE);
    world->utcbs = pages_space(2 * WORKER * CB_PAGE_SIZE, CB_PAGE_SIZE);
    world->nothing = pages_space(16 * CB_PAGE_SIZE, CB_PAGE_SIZE);
    memcpy((void *)copy, (const void *)IMAGE_START, image_pages * CB_PAGE_SIZE);
    for (uint32_t h = 0; h < ALL_HOMES; h++)
        homes[h] = (struct home){
            .alive = h == 0, .domain = h ? sel_alloc() : CB_SELF, .account = sel_alloc(), .ram = sel_alloc()
        };
    for (uint32_t h = 0; h < ALL_HOMES; h++)
        if (cb_ram_split(CB_TASK_SEL_RAM, h ? homes[h].ram : sel_named(SEL_RAM), CB_SELF, HOME_RAM, 1) != CB_OK)
            panic("race: no memory");
}

/* ---- Mortals ---- */

void mortal_remove(struct actor *a)
{
    remove(a->sched);
    remove(a->sel);
    if (a->vcpu)
        vmm_detach(a);
    DO(revoke, sel_named(SEL_OWN) + a->index, CB_REVOKE_SELF);
    a->alive = false;
}

static void give_sched(struct actor *a)
{
    uint64_t period = 1000 + draw() % 4000, budget = draw() % 2 ? period : 100 + draw() % (period / 4);

    if (DO(sched_create, CB_TASK_SEL_ACCOUNT, a->sched, a->cpu, PRIORITY, budget, period) == CB_OK)
        DO(sched_bind, a->sched, a->sel);
}

/* What its home is to have of it; into the pools, too, so that it is recalled, bound and destroyed by others. */
static void pass_on(const struct actor *a, uint32_t domain)
{
    uint32_t own = sel_named(SEL_OWN) + a->index;

    if (domain != CB_SELF)
        DO(derive, own, own, domain, CB_RIGHT_WAIT, 0, 0);
    if (a->handler)
        DO(derive, a->sel, sel_named(SEL_HANDLER) + a->index, domain, CB_RIGHT_CONTROL, 0, 0);
    DO(derive, a->sel, sel_pool(THREAD, draw()), domain, draw() % 8 ? CB_RIGHT_CONTROL : CB_RIGHTS_ALL, 0, 0);
    DO(derive, a->sel, sel_pool(THREAD, draw()), CB_SELF, draw() % 8 ? CB_RIGHT_CONTROL : CB_RIGHTS_ALL, 0, 0);
    DO(derive, a->sched, sel_pool(SCHED, draw()), domain, draw() % 8 ? CB_RIGHT_READ : CB_RIGHTS_ALL, 0, 0);
}

/* A new one, who will live in this home, on that CPU. */
static void actor_fresh(struct actor *a, uint32_t h, uint32_t cpu, thread_fn *function)
{
    struct thread *thread = (struct thread *)(void *)(world->stacks[a->index] + STACK_BYTES) - 1;

    __atomic_store_n(&a->incarnation, a->incarnation + 1, __ATOMIC_SEQ_CST);
    a->home = h;
    a->cpu = cpu;
    a->thread = thread;
    a->still = false;
    *thread = (struct thread){ .self = thread,
                               .utcb = (struct cb_utcb *)(world->utcbs + (2 * a->index + 1) * CB_PAGE_SIZE),
                               .handler = serve,
                               .function = function,
                               .argument = a,
                               .sel = a->sel,
                               .cpu = a->cpu };
    if (a->vcpu)
        vmm_fresh(a);
}

static bool vcpu_make(struct actor *a, uint32_t account, uint32_t domain)
{
    uint32_t number = a->index - (MORTALS - VCPUS);

    return DO(vcpu_create, account, a->sel, domain, a->cpu, number, (uint64_t)a->guest.page) == CB_OK && vmm_attach(a);
}

static void mortal_make_vcpu(struct actor *a, uint32_t h)
{
    uint32_t account = draw() % 2 ? homes[h].account : sel_named(SEL_PAYER), own = sel_named(SEL_OWN) + a->index;

    actor_fresh(a, h, (uint32_t)(draw() % world->cpus), client);
    seed_actor(a, draw());
    a->alive = true;
    DO(event_create, CB_TASK_SEL_ACCOUNT, own);
    if (!vcpu_make(a, account, homes[h].domain)) {
        mortal_remove(a);
        return;
    }
    pass_on(a, homes[h].domain);
    DO(event_bind, own, a->sel, 1 + draw() % 63);
    for (uint32_t n = 0; n < 3; n++)
        DO(derive, own, sel_pool(EVENT, draw()), n ? homes[draw() % HOMES].domain : homes[h].domain, CB_RIGHT_SIGNAL, 1, 0);
    give_sched(a);
}

static void mortal_make(struct actor *a, uint32_t h)
{
    struct home *home = &homes[h];
    uint32_t account = h && draw() % 2 ? home->account : sel_named(SEL_PAYER), own = sel_named(SEL_OWN) + a->index;
    struct thread *thread = (struct thread *)(void *)(world->stacks[a->index] + STACK_BYTES) - 1;

    actor_fresh(a, h, (uint32_t)(draw() % world->cpus), client);
    seed_actor(a, draw());
    a->alive = true;
    DO(event_create, CB_TASK_SEL_ACCOUNT, own);
    if (DO(thread_create, account, a->sel, home->domain, a->cpu, (uint64_t)thread->utcb, a->handler ? 0 : (uint64_t)thread_entry,
           (uint64_t)thread) != CB_OK ||
        DO(thread_set, a->sel, CB_THREAD_FS_BASE, (uint64_t)thread) != CB_OK) {
        mortal_remove(a);
        return;
    }
    pass_on(a, home->domain);
    if (!a->handler)
        DO(thread_set, a->sel, CB_THREAD_EXCEPTION, sel_pool(PORTAL, draw()));
    if (!a->handler || draw() % 4)
        give_sched(a);
    for (uint32_t n = 0; a->handler && n < 4; n++)
        DO(portal_create, account, sel_pool(PORTAL, draw()), a->sel, (uint64_t)thread_portal_entry, BADGE(a->index),
           CB_GROUPS_THREAD, (uint32_t)(draw() % CB_LEVELS));
}

/* Ports for the vCPUs of a home, whose lock is taken. They look at the figures at any time. */
static void ports_grant(uint32_t h)
{
    uint32_t count = (uint32_t)draw() % (PORTS / 2 + PORT_WIDTH);

    if (count <= world->ports[h])
        return;
    __atomic_store_n(&world->ports_soon[h], count, __ATOMIC_SEQ_CST);
    if (DO(ioport_grant, CB_TASK_SEL_IOPORT, homes[h].domain, PORT_FIRST, count) == CB_OK)
        __atomic_store_n(&world->ports[h], count, __ATOMIC_SEQ_CST);
}

static void vcpu_renew(struct actor *a)
{
    uint32_t h = HOMES + (uint32_t)draw() % (GUESTS - 1);

    if (a->alive && draw() % 2) {
        vmm_exchange(a);
    } else if (a->alive) {
        mortal_remove(a);
    } else if (world->features && try(&homes[h].lock)) {
        if (homes[h].alive && draw() % 2)
            ports_grant(h);
        if (homes[h].alive)
            mortal_make_vcpu(a, h);
        drop(&homes[h].lock);
    }
}

static void mortal_renew(struct actor *a)
{
    uint32_t h = (uint32_t)(draw() % HOMES);

    if (!try(&a->lock))
        return;
    if (a->vcpu) {
        vcpu_renew(a);
    } else if (a->alive && draw() % 2) {
        DO(revoke, a->sched, CB_REVOKE_SELF);
        give_sched(a);
    } else if (a->alive) {
        if (!a->handler || draw() % 4 == 0)
            mortal_remove(a);
    } else if (h == 0 || try(&homes[h].lock)) {
        mortal_make(a, homes[h].alive ? h : 0);
        if (h)
            drop(&homes[h].lock);
    }
    drop(&a->lock);
}

/* Portals to handlers from everywhere into everywhere: so that calls cross domains, and CPUs. */
static void connect(void)
{
    uint32_t h = (uint32_t)(draw() % HOME_PAIR);

    if (!try(&homes[h].lock))
        return;
    for (uint32_t n = 0; n < 4 && homes[h].alive; n++) {
        enum kind kind = draw() % 4 ? PORTAL : EVENT;

        DO(derive, sel_pool(kind, draw()), sel_pool(kind, draw()), homes[h].domain, CB_RIGHTS_ALL & ~CB_RIGHT_DESTROY, 0, 0);
    }
    drop(&homes[h].lock);
}

/* ---- The vCPUs that are there throughout ---- */

/* One's own event is what the other one signals. */
static bool pair_one(struct actor *a, uint64_t seed)
{
    uint32_t k = a->index - MORTALS, d = homes[HOME_PAIR].domain, own = sel_named(SEL_OWN) + a->index;

    actor_fresh(a, HOME_PAIR, k % world->cpus, guest_pair);
    seed_actor(a, seed);
    return DO(event_create, CB_TASK_SEL_ACCOUNT, own) == CB_OK && vcpu_make(a, CB_TASK_SEL_ACCOUNT, d) &&
           DO(event_bind, own, a->sel, PORT_PAIR) == CB_OK &&
           DO(derive, own, sel_pool(EVENT, k), d, CB_RIGHT_SIGNAL, 1, 0) == CB_OK;
}

static bool pair_run(struct actor *a)
{
    return DO(sched_create, CB_TASK_SEL_ACCOUNT, a->sched, a->cpu, PRIORITY, 10000, 10000) == CB_OK &&
           DO(sched_bind, a->sched, a->sel) == CB_OK;
}

bool pair_make(uint64_t seed)
{
    struct actor *one = &world->actors[MORTALS], *other = one + 1;
    uint32_t d = homes[HOME_PAIR].domain;

    if (DO(domain_create, CB_TASK_SEL_ACCOUNT, CB_DOMAIN_GUEST, d) != CB_OK || !home_map(d))
        return false;
    for (uint32_t portal = sel_named(SEL_STILL); portal < sel_named(SEL_ECHO) + CPUS; portal++)
        DO(derive, portal, portal, d, CB_RIGHT_CALL, 0, 0);
    ports_grant(HOME_PAIR);
    return pair_one(one, seed) && pair_one(other, seed) && pair_run(one) && pair_run(other);
}

void pair_remove(void)
{
    mortal_remove(&world->actors[MORTALS]);
    mortal_remove(&world->actors[MORTALS + 1]);
    remove(homes[HOME_PAIR].domain);
    world->ports[HOME_PAIR] = world->ports_soon[HOME_PAIR] = 0;
}

void work(void *actor)
{
    struct actor *self = actor;

    while (world->phase == PHASE_RUN) {
        uint64_t what = draw() % 64;

        if (what < 8)
            mortal_renew(&world->actors[draw() % MORTALS]);
        else if (what < 9)
            home_renew((uint32_t)(draw() % (world->features ? HOME_PAIR : HOMES)));
        else if (what < 16)
            connect();
        else
            act(false);
    }
    for (;;)
        keep_still(self);
}
