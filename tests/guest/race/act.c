/* SPDX-License-Identifier: GPL-2.0-only */
/* What threads do at random, in whatever domain they are. */
#include "race.h"

#include <corbel/boot.h>
#include <corbel/state.h>

#define WORDS_MAX 24u
#define KEY 0x5bd1e995a2f3c4d7ull

struct world *world;

static const uint32_t allowed[OP_COUNT] = {
#define MAY(name, may) may,
    OPS(MAY)
#undef MAY
};

static uint64_t step(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

uint64_t draw(void)
{
    return step(&actor_self()->random);
}

void seed_actor(struct actor *a, uint64_t seed)
{
    a->random = (seed ^ (a->index + 1ull) * 0x9e3779b97f4a7c15ull ^ (a->incarnation + 1ull) * KEY) | 1;
    for (int i = 0; i < 8; i++)
        (void)step(&a->random);
}

void wrong(const char *what, uint64_t a, uint64_t b)
{
    const struct actor *self = actor_self();

    if (__atomic_exchange_n(&world->failed, 1, __ATOMIC_ACQ_REL))
        return;
    world->wrong_actor = self->index;
    world->wrong_op = self->op;
    world->wrong_a = a;
    world->wrong_b = b;
    __atomic_store_n(&world->wrong, what, __ATOMIC_RELEASE);
}

uint64_t did(enum op op, uint64_t status)
{
    struct actor *self = actor_self();
    uint64_t code = CB_STATUS_CODE(status);

    self->op = op;
    self->done++;
    if (code >= STATUSES || !(allowed[op] >> code & 1))
        wrong("an operation returned what it cannot", op, status);
    else
        __atomic_fetch_add(&world->counts[op][code], 1, __ATOMIC_RELAXED);
    return code;
}

/* Said before the operation, for whoever looks at a thread that does not come back from it. */
static void doing(enum op op)
{
    actor_self()->op = op;
}

#define DO(name, ...) (doing(OP_##name), did(OP_##name, cb_##name(__VA_ARGS__)))

/* ---- Calls ---- */

static uint64_t fold(uint64_t words, uint64_t first)
{
    uint64_t sum = words;

    for (uint64_t i = 0; i < words; i++)
        sum = (sum << 5 | sum >> 59) ^ (first + i);
    return sum;
}

static uint64_t words_fold(uint64_t words)
{
    uint64_t sum = words;

    for (uint64_t i = 0; i < words; i++)
        sum = (sum << 5 | sum >> 59) ^ thread_utcb()->words[i];
    return sum;
}

static void words_fill(uint64_t words, uint64_t first)
{
    for (uint64_t i = 0; i < words; i++)
        thread_utcb()->words[i] = first + i;
}

static void items_fill(uint32_t items)
{
    for (uint32_t i = 0; i < items; i++) {
        struct cb_item *item = &thread_utcb()->items[i];

        item->sel = sel_pool((enum kind)(draw() % KINDS), draw());
        item->rights = (uint32_t)draw() & CB_RIGHTS_ALL;
        item->arg1 = item->arg2 = 0;
    }
}

static void call_somebody(void)
{
    uint64_t r = draw(), shape = draw(), words = shape & 3 ? 0 : shape / 8 % WORDS_MAX;
    uint32_t items = shape & 4 ? 0 : (uint32_t)(draw() % 3);
    struct cb_args m = { r, ~r, r ^ KEY, fold(words, r), CB_INFO(words, items, 0) };
    uint64_t handler, status;

    words_fill(words, r);
    items_fill(items);
    status = DO(call, sel_pool(PORTAL, draw()), &m);
    if (status != CB_OK && status != CB_ABORTED && (m.a1 != r || m.a2 != ~r))
        wrong("a call that failed changed its arguments", m.a1, r);
    if (status != CB_OK)
        return;
    handler = m.a3;
    if (m.a1 != (r ^ KEY) || m.a2 != BADGE(handler) || handler >= HANDLERS)
        wrong("a call got somebody else's reply", m.a1, r);
    else if (m.a4 != words_fold(CB_INFO_WORDS(m.a5)))
        wrong("a reply's words are not what was sent", m.a4, m.a5);
    __atomic_fetch_add(&world->replies, 1, __ATOMIC_RELAXED);
    if (handler < HANDLERS && world->actors[handler].cpu != actor_self()->cpu)
        __atomic_fetch_add(&world->remote, 1, __ATOMIC_RELAXED);
}

/* An exception: only those that were meant. */
static void serve_fault(struct cb_args *message)
{
    struct cb_state *state = (struct cb_state *)thread_utcb()->words;

    if (message->a1 != 6)
        wrong("an exception that nobody meant", message->a1, state->rip);
    state->rip += 2; /* UD2 */
    message->a5 = CB_INFO(0, 0, CB_GROUP_RIP);
}

/* The message is in registers and words that what is done in between will overwrite. */
void serve(uint64_t badge, struct cb_args *message)
{
    struct actor *self = actor_self();
    uint64_t r = message->a1, words = CB_INFO_WORDS(message->a5);

    if (badge != BADGE(self->index))
        wrong("a call came through a portal of somebody else", badge, self->index);
    if (CB_INFO_GROUPS(message->a5)) {
        serve_fault(message);
        return;
    }
    if (message->a2 != ~r || message->a3 != (r ^ KEY) || message->a4 != fold(words, r) || words_fold(words) != message->a4)
        wrong("a message is not what was sent", message->a4, words);
    thread_utcb()->window = sel_pool((enum kind)(draw() % KINDS), draw());
    thread_utcb()->window_count = (uint32_t)(draw() % 4);
    for (uint64_t n = draw() % 3; n > 0 && world->phase == PHASE_RUN; n--)
        act(false);
    words = draw() & 3 ? 0 : draw() % WORDS_MAX;
    words_fill(words, r + badge);
    message->a1 = r ^ KEY;
    message->a2 = badge;
    message->a3 = self->index;
    message->a4 = words_fold(words);
    message->a5 = CB_INFO(words, 0, 0);
}

/* ---- The rest ---- */

static void wait_a_little(bool mortal)
{
    if (actor_self()->vcpu) {
        guest_wait();
        return;
    }
    uint64_t bits = 0, deadline = mortal && draw() % 16 == 0 ? CB_DEADLINE_NONE : clock_in(draw() % 700);
    uint32_t flags = draw() % 4 ? 0 : CB_WAIT_POLL;

    if (DO(wait, sel_pool(EVENT, draw()), flags, deadline, &bits) == CB_OK && bits == 0)
        wrong("a wait ended without bits", bits, 0);
}

static uint32_t payer(void)
{
    return draw() % 3 ? sel_named(SEL_PAYER) : sel_pool(ACCOUNT, draw());
}

/* Which domain receives: mostly one's own. */
static uint32_t receiver(void)
{
    return draw() % 4 ? CB_SELF : sel_pool(DOMAIN, draw());
}

static void create(void)
{
    uint64_t what = draw() % 16, i = draw(), period = 300 + draw() % 5000;
    uint32_t who = (uint32_t)(draw() % HANDLERS);

    if (what < 4)
        DO(event_create, payer(), sel_pool(EVENT, i));
    else if (what < 6)
        DO(frame_create, sel_named(SEL_RAM), sel_pool(FRAME, i), CB_SELF, 1 + draw() % 4, 1);
    else if (what < 7)
        DO(account_create, draw() % 2 ? sel_named(SEL_PAYER) : sel_pool(ACCOUNT, draw()), sel_pool(ACCOUNT, i),
           1 + draw() % 24);
    else if (what < 8)
        DO(domain_create, payer(), world->features && draw() % 2 ? CB_DOMAIN_GUEST : 0, sel_pool(DOMAIN, i));
    else if (what < 10)
        DO(sched_create, payer(), sel_pool(SCHED, i), (uint32_t)(draw() % world->cpus), 8 + (uint32_t)(draw() % 8),
           50 + draw() % (period / 4), period);
    else
        DO(portal_create, payer(), sel_pool(PORTAL, i), sel_named(SEL_HANDLER) + who, (uint64_t)thread_portal_entry, BADGE(who),
           CB_GROUPS_THREAD, (uint32_t)(draw() % CB_LEVELS));
}

/*
 * One that nobody runs: it has no exits. Number, address and selector are each actor's own. A vCPU makes it in its own
 * domain, where nothing of that is in use then; a thread may have done so in another life.
 */
void create_vcpu(void)
{
    uint32_t me = actor_self()->index, sel = sel_named(SEL_SPARE) + me;
    bool vcpu = actor_self()->vcpu;
    uint32_t domain = vcpu ? sel_named(SEL_DOMAIN) : sel_pool(DOMAIN, draw());
    uint64_t status;

    DO(revoke, sel, CB_REVOKE_SELF);
    status = DO(vcpu_create, payer(), sel, domain, (uint32_t)(draw() % world->cpus), GUEST_VCPUS + me,
                world->window + (WINDOW_PAGES + 2 * me) * CB_PAGE_SIZE);
    if (status == CB_OCCUPIED && vcpu)
        wrong("a vCPU is there that nobody has made", sel, domain);
    if (status == CB_OK)
        DO(derive, sel, sel_pool(THREAD, draw()), receiver(), CB_RIGHT_CONTROL, 0, 0);
}

static void change(void)
{
    uint64_t what = draw() % 16, i = draw();
    enum kind kind = (enum kind)(draw() % KINDS);
    struct cb_identity identity;

    if (what < 5)
        DO(derive, sel_pool(kind, i), sel_pool(kind, draw()), receiver(), (uint32_t)draw() & CB_RIGHTS_ALL,
           kind == EVENT ? draw() & 0xff : kind == FRAME ? draw() & 1 : 0, 0);
    else if (what < 8)
        DO(map, sel_pool(FRAME, i), CB_MAP_READ | (draw() & 1 ? CB_MAP_WRITE : 0), sel_pool(MAPPING, draw()), receiver(),
           world->window + draw() % (WINDOW_PAGES - 1) * CB_PAGE_SIZE, (uint32_t)(draw() % 3), 1 + (uint32_t)(draw() % 2));
    else if (what < 11)
        DO(revoke, sel_pool(kind, i), draw() & 1 ? CB_REVOKE_SELF : 0);
    else if (what < 12)
        DO(destroy, sel_pool(kind, i));
    else if (what < 13)
        DO(sched_bind, sel_pool(SCHED, i), sel_pool(THREAD, draw()));
    else if (what < 14)
        DO(thread_set, sel_pool(THREAD, i), CB_THREAD_EXCEPTION, draw() % 8 ? sel_pool(PORTAL, draw()) : 0);
    else if (what < 15 && i % 2)
        DO(identify, sel_pool(kind, i), &identity);
    else if (what < 15 && i % 4 == 0 && world->features)
        create_vcpu();
    else if (what < 15)
        DO(event_bind, sel_pool(EVENT, i), sel_pool(THREAD, draw()), draw() % 64);
    else if (i % 16 == 0)
        DO(revoke, sel_named(SEL_RAM), 0);
}

/* The FPU's registers belong to each context alone. */
static void check_fpu(const struct actor *self)
{
    uint64_t mine = KEY ^ ((uint64_t)self->incarnation << 32 | self->index), is;

    __asm__ volatile("movq %%xmm15, %0" : "=r"(is));
    if (is != mine && is)
        wrong("an FPU register is somebody else's", is, mine);
    __asm__ volatile("movq %0, %%xmm15" : : "r"(mine));
}

void act(bool mortal)
{
    uint64_t what = draw() % 32;

    if (what % 8 == 0)
        check_fpu(actor_self());
    if (actor_self()->vcpu && draw() % 2) {
        guest_act();
        return;
    }
    /* Handlers call less: calls in a circle between CPUs wait until the watch recalls somebody. */
    if (what < 10 && (!actor_self()->handler || draw() % 4 == 0))
        call_somebody();
    else if (what < 15)
        DO(signal, sel_pool(EVENT, draw()));
    else if (what < 19)
        wait_a_little(mortal);
    else if (what < 20)
        DO(yield);
    else if (what < 21)
        DO(recall, sel_pool(THREAD, draw()));
    else if (what < 25)
        create();
    else if (what < 31 || !mortal || actor_self()->vcpu || draw() % 8)
        change();
    else {
        doing(OP_fault);
        __asm__ volatile("ud2");
        did(OP_fault, CB_OK);
    }
}

/* ---- Clients ---- */

void keep_still(struct actor *self)
{
    bool far = self->index & 1 && world->cpus > 1;
    struct cb_args nothing = { 0 };
    uint64_t bits;

    self->still = true;
    if (self->vcpu && self->index < MORTALS)
        guest_still();
    else if (self->index >= MORTALS || self->index & 2)
        (void)!cb_call(far ? sel_named(SEL_FAR) + 1 - self->cpu : sel_named(SEL_STILL) + self->cpu, &nothing);
    else
        (void)!cb_wait(sel_named(SEL_OWN) + self->index, 0, CB_DEADLINE_NONE, &bits);
}

void client(void *actor)
{
    for (;;) {
        if (world->phase == PHASE_STILL)
            keep_still(actor);
        else
            act(true);
    }
}
