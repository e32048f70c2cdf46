/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The smallest guest: a bzImage that looks around with CPUID, makes hypercalls, starts its second vCPU, prints a line
 * into its console ring and powers off; or with "fault" as its command line ends with a triple fault, with "version"
 * pretends to know another version of the interface.
 *
 * Linked at its load address (tinyguest.ld); there is no relocation. Paging as the boot protocol leaves it.
 */
#define CB_GUEST
#define CB_INVOKE_INSN "call tiny_invoke"

#include <corbel/cap.h>
#include <corbel/console.h>
#include <corbel/event.h>
#include <corbel/guest.h>
#include <corbel/invoke.h>

#include <stdbool.h>

#define CMD_LINE_PTR 0x228u /* in boot_params */
#define MSR_APIC_BASE 0x1bu

/* The setup header: Documentation/arch/x86/boot.rst, "Details of Header Fields". One setup sector follows. */
__asm__(".section .header, \"a\"\n"
        ".org 0x1f1; .byte 1; .word 0; .long tiny_paragraphs; .word 0, 0, 0; .word 0xaa55\n"
        ".org 0x200; .byte 0xeb, 0x280 - 0x202; .ascii \"HdrS\"; .word 0x20c\n"
        ".org 0x211; .byte 1\n"                    /* loadflags: LOADED_HIGH */
        ".org 0x22c; .long 0x7fffffff\n"           /* initrd_addr_max */
        ".long 0x200000; .byte 0, 21; .word 1\n"   /* alignment; not relocatable; XLF_KERNEL_64 */
        ".long 2047\n"                             /* cmdline_size */
        ".org 0x258; .quad tiny_load; .long tiny_memory\n"
        ".org 0x400\n"
        ".previous\n");

/* At the load address: the 32-bit entry point, which nobody uses; then the 64-bit one. */
__asm__(".section .entry, \"ax\"\n"
        "ud2\n"
        ".org 0x200\n"
        "lea tiny_stack + 16384(%rip), %rsp\n"
        "mov %rsi, %rdi\n"
        "call tiny_main\n"
        "ud2\n"
        "tiny_second:\n"
        "lea tiny_stack + 8192(%rip), %rsp\n"
        "call tiny_main_second\n"
        "ud2\n"
        ".previous\n");

/* VMCALL on Intel, VMMCALL on AMD. */
__asm__(".text\n"
        "tiny_invoke:\n"
        "cmpl $0, tiny_vmcall(%rip)\n"
        "jne 1f\n"
        "vmmcall\n"
        "ret\n"
        "1: vmcall\n"
        "ret\n"
        ".previous\n");

extern uint32_t tiny_vmcall;
uint32_t tiny_vmcall;

void tiny_main(const uint8_t *boot_params);
void tiny_main_second(void);
void tiny_second(void);

extern uint8_t tiny_stack[16384];
uint8_t tiny_stack[16384] __attribute__((aligned(16)));

static uint32_t second; /* set by the second vCPU */

struct regs {
    uint32_t eax, ebx, ecx, edx;
};

static struct regs cpuid(uint32_t leaf)
{
    struct regs r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(0));
    return r;
}

/* There is no IDT: an exception is a triple fault, which the VMM reports with the address. */
static _Noreturn void fail(void)
{
    for (;;)
        __asm__ volatile("ud2");
}

static void print(const char *text)
{
    struct regs where = cpuid(CB_CPUID_CONSOLE);
    struct cb_console *ring = (struct cb_console *)((uint64_t)where.eax * CB_PAGE_SIZE);
    struct cb_args args = {0};

    if (where.eax == 0)
        return; /* no console */
    uint32_t head = ring->out_head;

    while (*text)
        ring->out[head++ % CB_CONSOLE_OUT] = (uint8_t)*text++;
    __atomic_store_n(&ring->out_head, head, __ATOMIC_RELEASE);
    (void)cb_invoke(CB_CALL_WORD(CB_CALL_signal, 0, where.ebx), &args);
}

static uint64_t machine(uint64_t operation, uint64_t a, uint64_t b, uint64_t c)
{
    struct cb_args args = {operation, a, b, c, 0};

    if (cb_invoke(CB_CALL_WORD(CB_CALL_call, 0, CB_GUEST_SEL_MACHINE(0)), &args) != CB_OK)
        fail();
    return args.a1;
}

static bool asked(const char *cmdline, const char *word)
{
    while (*word && *cmdline == *word) {
        cmdline++;
        word++;
    }
    return *word == 0 && (*cmdline == 0 || *cmdline == ' ');
}

static void check(const struct regs *features)
{
    const struct cb_event_page *page = (const struct cb_event_page *)((uint64_t)features->ecx * CB_PAGE_SIZE);
    struct regs base = cpuid(CB_CPUID_BASE);
    struct cb_args args = {0};
    uint32_t low, high;

    if (base.ebx != 0x62726f43 || base.ecx != 0x6f436c65 || base.edx != 0x6c656272) /* CorbelCorbel */
        fail();
    if (features->eax != CB_ABI_VERSION || page->cpu != 0 || page->tsc_khz != cpuid(CB_CPUID_CLOCK).eax)
        fail();
    if (cb_invoke(CB_CALL_WORD(CB_CALL_null, 0, 0), &args) != CB_OK)
        fail();
    if (CB_STATUS_CODE(cb_invoke(CB_CALL_WORD(CB_CALL_null, 1, 0), &args)) == CB_OK) /* an undefined flag */
        fail();
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_APIC_BASE));
    if ((low & 0x900) != 0x100 || high != 0) /* the boot CPU, and no APIC */
        fail();
}

void tiny_main_second(void)
{
    __atomic_store_n(&second, 1, __ATOMIC_RELEASE);
    for (;;)
        __asm__ volatile("pause");
}

static void start_second(void)
{
    uint64_t cr3;

    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    if (machine(CB_MACHINE_START, 1, (uint64_t)tiny_second, cr3) != 0)
        fail();
    while (!__atomic_load_n(&second, __ATOMIC_ACQUIRE))
        __asm__ volatile("pause");
    if (machine(CB_MACHINE_START, 1, (uint64_t)tiny_second, cr3) != CB_MACHINE_ERROR_VCPU)
        fail();
    print("tiny guest: second vCPU runs\n");
}

void tiny_main(const uint8_t *boot_params)
{
    const char *cmdline = (const char *)(uint64_t)*(const uint32_t *)(const void *)(boot_params + CMD_LINE_PTR);
    struct regs features = cpuid(CB_CPUID_FEATURES);

    if (asked(cmdline, "version"))
        __asm__ volatile("outl %0, %w1" ::"a"(features.eax + 41), "d"(CB_GUEST_PORT_VERSION));
    tiny_vmcall = features.edx;
    check(&features);
    if (features.ebx > 1)
        start_second();
    print("tiny guest: ok\n");
    if (asked(cmdline, "fault"))
        fail();
    machine(CB_MACHINE_POWER_OFF, 0, 0, 0);
    fail();
}
