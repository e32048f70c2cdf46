/* SPDX-License-Identifier: MIT */
/*
 * How root starts a native task, and what a task may ask of root. A task's first thread enters its ELF
 * entry point with rsp = CB_TASK_STACK_TOP; one page range at CB_TASK_INFO_ADDRESS (read-only) says the rest.
 */
#ifndef CORBEL_TASK_H
#define CORBEL_TASK_H

#include <corbel/types.h>

#define CB_TASK_INFO_ADDRESS 0x7ffe000000ull
#define CB_TASK_FDT_ADDRESS 0x7ffe010000ull     /* the task's manifest node as an FDT of its own */
#define CB_TASK_UTCB_ADDRESS 0x7ffe100000ull
#define CB_TASK_CONSOLE_ADDRESS 0x7ffe200000ull /* console ring page (corbel/console.h) */
#define CB_TASK_STACK_TOP 0x7ffe800000ull
#define CB_TASK_STACK_SIZE 0x10000ull
#define CB_TASK_MODULES_ADDRESS 0x6000000000ull /* modules of the task, mapped read-only from here on */
#define CB_TASK_GRANTS_ADDRESS 0x7000000000ull  /* memory shared with other domains, from here on */

/* First selectors of a task; those it was not given are empty. */
#define CB_TASK_SEL_DOMAIN 1u
#define CB_TASK_SEL_ACCOUNT 2u
#define CB_TASK_SEL_THREAD 3u
#define CB_TASK_SEL_CONSOLE_SIGNAL 5u /* event: tells the console server of output */
#define CB_TASK_SEL_CONSOLE_EVENT 6u  /* event: input, or room for output, has come */
#define CB_TASK_SEL_RAM 7u            /* ram for the task to use as it likes */
#define CB_TASK_SEL_LOG 8u            /* if the manifest gives them: the log, */
#define CB_TASK_SEL_IRQ 9u            /* interrupts, */
#define CB_TASK_SEL_IOPORT 10u        /* and I/O ports */
#define CB_TASK_SEL_CONSOLE_PAGE 11u  /* frame of the console ring page, for a guest or another task */
#define CB_TASK_SEL_ROOT(cpu) (16u + (cpu)) /* portal to root, to be called on that CPU */
#define CB_TASK_SEL_MODULE(n) (128u + (n))  /* frame of module n */
/*
 * Scheduling context of that CPU, for each that the task may use: more can be made under it. That of `cpu` is the first
 * thread's; the others are nobody's.
 */
#define CB_TASK_SEL_SCHED(cpu) (960u + (cpu))
#define CB_TASK_SEL_GRANTS 1024u /* services and links, from here on; the FDT names them */
#define CB_TASK_SEL_FREE 2048u

#define CB_TASK_MODULES 8u
#define CB_TASK_LINKS 8u    /* the most that one task can have */
#define CB_TASK_SERVICES 8u

struct cb_task_module {
    char name[32];
    uint64_t address; /* where it is mapped */
    uint64_t size;    /* bytes */
};

struct cb_task_info {
    uint32_t version;   /* CB_ABI_VERSION */
    uint32_t cpu_count; /* of the machine */
    uint32_t cpu;       /* on which the first thread runs */
    uint32_t module_count;
    uint64_t cpu_mask;  /* CPUs the task may use: bit n for CPU n */
    uint64_t features;  /* CB_FEATURE_* */
    uint64_t tsc_khz;
    uint64_t wall_ns;   /* ns since 1970-01-01 UTC when the TSC was zero */
    uint64_t ram_size;  /* bytes behind CB_TASK_SEL_RAM */
    uint64_t priority;  /* the highest the task may use for its scheduling contexts */
    uint64_t fdt_size;  /* bytes */
    char name[32];      /* the domain's */
    char no_vcpu[64];   /* why vcpu_create is refused; empty if it is not */
    uint8_t seed[64];   /* random */
    struct cb_task_module modules[CB_TASK_MODULES];
};

/*
 * The services a task uses and its ends of links stand in its FDT's node `grants` as a guest finds them there
 * (corbel/guest.h), with these differences:
 *   corbel,portals: the nth selector is to be called on CPU n; 0 for CPUs the task may not use
 *   corbel,event:   selector of the event that the other end signals, instead of corbel,port
 *   corbel,memory:  selector of the frame of the shared memory, with the rights READ and WRITE; it is mapped at the
 *                   address in `reg` already
 * A signal fails with BAD_CAP when the other end has ended for good, or was never started.
 */

/*
 * Root's portal: word 0 = operation. Word 0 of the reply is 0, or 1 if there is no such operation.
 *   EXIT   the task, or the VM it runs, has ended. Word 1: CB_EXIT_REASON_*, word 2: bytes of text in the
 *          UTCB's words (why; printed by root). Root destroys the domain: does not return.
 *   MEMORY reply word 1: bytes of ram that root has left
 *   SERVE  offers portals to other domains. Word 1:
 *            CONSOLE  typed item 0: the portal of the console service, to be called on the boot CPU. Only of use to
 *                     the task that root started for this.
 *            PORTAL   word 2: a CPU, typed item 0: the portal that clients on this CPU call, with the right CALL; its
 *                     handler should live there. For a task whose manifest node `provides` a service, and once for
 *                     each CPU.
 *            READY    all portals have been handed over, one at least: clients on other CPUs get that of the lowest
 *                     CPU, and are refused (BAD_CPU) if its handler has no scheduling context of its own. Domains
 *                     that use the service start now. Once.
 *          Word 0 of the reply is 1 if this was refused.
 *   END    for the console service: ends the domain that word 1 names, as ATTACH gave it (corbel/console.h)
 * The same portals take the faults of the task's threads (thread_set, EXCEPTION), as root did it for the first.
 */
#define CB_ROOT_EXIT 1u
#define CB_ROOT_MEMORY 2u
#define CB_ROOT_SERVE 3u
#define CB_ROOT_END 4u

#define CB_SERVE_CONSOLE 1u /* corbel/console.h */
#define CB_SERVE_PORTAL 2u
#define CB_SERVE_READY 3u

#define CB_EXIT_REASON_DONE 0u   /* powered off, finished */
#define CB_EXIT_REASON_REBOOT 1u /* wants to be started again */
#define CB_EXIT_REASON_FAILED 2u /* could not do what it was to do: bad configuration, refused resources */
#define CB_EXIT_REASON_CRASHED 3u /* guest panic, triple fault, fault of the task */

#endif
