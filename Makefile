# SPDX-License-Identifier: GPL-2.0-only
#
# Corbel's only Makefile: explicit source lists, one output folder. `make help` lists the targets.
# Variables: B (output folder), CC (gcc or clang), V=1 (show commands), CI=true (warnings are errors).

B ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
ifneq ($(V),1)
Q := @
endif
export SOURCE_DATE_EPOCH ?= 1700000000

.PHONY: all
all: hypervisor tasks vmm guest

# ---- Sources: one file per line, sorted ----------------------------------------------------------------------

HYPERVISOR_SRC := \
	hypervisor/account.c \
	hypervisor/acpi.c \
	hypervisor/apic.c \
	hypervisor/barrier.S \
	hypervisor/boot.S \
	hypervisor/boot_view.c \
	hypervisor/bootmem.c \
	hypervisor/call.c \
	hypervisor/caps.c \
	hypervisor/cpu_init.c \
	hypervisor/ctx.c \
	hypervisor/derive.c \
	hypervisor/domain.c \
	hypervisor/elf.c \
	hypervisor/entry.S \
	hypervisor/entry_guarded.S \
	hypervisor/entry_roots.S \
	hypervisor/entry_trap.S \
	hypervisor/errata.c \
	hypervisor/event.c \
	hypervisor/exit.c \
	hypervisor/flaws.c \
	hypervisor/font.c \
	hypervisor/fpu.c \
	hypervisor/grace.c \
	hypervisor/identify.c \
	hypervisor/io.c \
	hypervisor/ioapic.c \
	hypervisor/iommu.c \
	hypervisor/ipc.c \
	hypervisor/irq.c \
	hypervisor/kpage.c \
	hypervisor/kstring.c \
	hypervisor/log.c \
	hypervisor/main.c \
	hypervisor/mce.c \
	hypervisor/memory.c \
	hypervisor/mitigations.c \
	hypervisor/multiboot.c \
	hypervisor/pmc.c \
	hypervisor/portal.c \
	hypervisor/reap.c \
	hypervisor/reference.c \
	hypervisor/regs.c \
	hypervisor/remote.c \
	hypervisor/root.c \
	hypervisor/sched.c \
	hypervisor/schedcall.c \
	hypervisor/screen.c \
	hypervisor/serial.c \
	hypervisor/shadow.c \
	hypervisor/shadow_cr.c \
	hypervisor/shadow_insn.c \
	hypervisor/shadow_table.c \
	hypervisor/shadow_walk.c \
	hypervisor/slot.c \
	hypervisor/smp.c \
	hypervisor/space.c \
	hypervisor/svm.c \
	hypervisor/svm_cr.c \
	hypervisor/svm_entry.S \
	hypervisor/svm_run.c \
	hypervisor/svm_shadow.c \
	hypervisor/svm_state.c \
	hypervisor/sync.c \
	hypervisor/thread.c \
	hypervisor/timer.c \
	hypervisor/timerq.c \
	hypervisor/tlb.c \
	hypervisor/trap.c \
	hypervisor/tsc.c \
	hypervisor/vcpu.c \
	hypervisor/vcpu_event.c \
	hypervisor/vcpu_exit.c \
	hypervisor/vcpu_run.c \
	hypervisor/vcpu_state.c \
	hypervisor/virt.c \
	hypervisor/virt_jump.S \
	hypervisor/vmx.c \
	hypervisor/vmx_apic.c \
	hypervisor/vmx_entry.S \
	hypervisor/vmx_exit.c \
	hypervisor/vmx_reason.c \
	hypervisor/vmx_run.c \
	hypervisor/vmx_shadow.c \
	hypervisor/vmx_state.c \

# Runtime library of the native tasks.
LIB_SRC := \
	tasks/lib/area.c \
	tasks/lib/calls.c \
	tasks/lib/clock.c \
	tasks/lib/grant.c \
	tasks/lib/heap.c \
	tasks/lib/lock.c \
	tasks/lib/pages.c \
	tasks/lib/print.c \
	tasks/lib/random.c \
	tasks/lib/range.c \
	tasks/lib/sel.c \
	tasks/lib/start.S \
	tasks/lib/stream.c \
	tasks/lib/string.c \
	tasks/lib/task.c \
	tasks/lib/thread.c \

ROOT_SRC := \
	tasks/root/acpi.c \
	tasks/root/boot.c \
	tasks/root/clear.c \
	tasks/root/config.c \
	tasks/root/config_fdt.c \
	tasks/root/config_grant.c \
	tasks/root/config_system.c \
	tasks/root/console.c \
	tasks/root/domain.c \
	tasks/root/entropy.c \
	tasks/root/grants.c \
	tasks/root/image.c \
	tasks/root/link.c \
	tasks/root/main.c \
	tasks/root/offer.c \
	tasks/root/output.c \
	tasks/root/pool.c \
	tasks/root/program.c \
	tasks/root/property.c \
	tasks/root/ram.c \
	tasks/root/rtc.c \
	tasks/root/service.c \
	tasks/root/watch.c \

CONSOLE_SRC := \
	tasks/console/client.c \
	tasks/console/keys.c \
	tasks/console/line.c \
	tasks/console/main.c \
	tasks/console/uart.c \

ECHO_SRC := \
	tasks/echo/main.c \

VMM_SRC := \
	vmm/boot.c \
	vmm/bzimage.c \
	vmm/config.c \
	vmm/cpuid.c \
	vmm/dev/blk.c \
	vmm/dev/console.c \
	vmm/dev/power.c \
	vmm/dev/rng.c \
	vmm/dev/serial.c \
	vmm/devtree.c \
	vmm/exit.c \
	vmm/grants.c \
	vmm/machine.c \
	vmm/main.c \
	vmm/memory.c \
	vmm/msr.c \
	vmm/ports.c \
	vmm/vcpu.c \
	vmm/virtio.c \
	vmm/virtqueue.c \

# Native test tasks: tests/guest/NAME.c and what GUEST_NAME lists make build/tests/guest/NAME.elf.
GUEST_TASKS := \
	calltest \
	counter \
	exittest \
	hostile \
	linked \
	modules \
	race \
	reader \
	reclaim \
	silent \
	stain \
	tardy \
	victim \

GUEST_calltest := \
	tests/guest/calltest/abort.c \
	tests/guest/calltest/basic.c \
	tests/guest/calltest/caps.c \
	tests/guest/calltest/child.c \
	tests/guest/calltest/child_code.S \
	tests/guest/calltest/crowd.c \
	tests/guest/calltest/domains.c \
	tests/guest/calltest/event.c \
	tests/guest/calltest/fault.c \
	tests/guest/calltest/ipc.c \
	tests/guest/calltest/memory.c \
	tests/guest/calltest/objects.c \
	tests/guest/calltest/probe.S \
	tests/guest/calltest/remote.c \
	tests/guest/calltest/storm.c \
	tests/guest/calltest/time.c \
	tests/guest/calltest/vcpu.c \
	tests/guest/calltest/ways.c \

GUEST_exittest := \
	tests/guest/exittest/apic.c \
	tests/guest/exittest/code.S \
	tests/guest/exittest/delivery.c \
	tests/guest/exittest/events.c \
	tests/guest/exittest/expect.c \
	tests/guest/exittest/hostile.c \
	tests/guest/exittest/instructions.c \
	tests/guest/exittest/machine.c \
	tests/guest/exittest/memory.c \
	tests/guest/exittest/ports.c \
	tests/guest/exittest/state.c \
	tests/guest/exittest/vendor.c \

GUEST_hostile := \
	tests/guest/hostile/memory.c \
	tests/guest/hostile/threads.c \

GUEST_race := \
	tests/guest/race/act.c \
	tests/guest/race/guest.c \
	tests/guest/race/guest_code.S \
	tests/guest/race/renew.c \
	tests/guest/race/vmm.c \

# Benchmarks: bootable workloads of their own, build/tests/bench/NAME.elf.
BENCH_TASKS := \
	native \

BENCH_native := \
	tests/bench/bench.c \
	tests/bench/clock.S \
	tests/bench/native.c \
	tests/bench/native/rounds.S \

# A guest of its own, for the normal VMM.
BENCH_GUEST := \
	tests/bench/bench.c \
	tests/bench/clock.S \
	tests/bench/guest.c \
	tests/bench/guest/entry.S \
	tests/bench/guest/rounds.S \

# Unit tests, on the host: UNIT_NAME lists the sources of program NAME, UNIT_NAME_FLAGS its flags
# (default: -Itests/unit -Ihypervisor -DUNIT_TEST).
UNIT_TESTS := \
	account \
	apic \
	area \
	blk \
	boot \
	bzimage \
	clear \
	clock \
	config \
	console \
	console_ring \
	cpuid \
	ctx \
	devices \
	devtree \
	elf \
	event \
	exit \
	flaws \
	grace \
	io \
	ioapic \
	iommu \
	irq \
	lib \
	link \
	log \
	mce \
	msr \
	object \
	orders_event \
	orders_grace \
	orders_space \
	orders_stream \
	orders_virtqueue \
	output \
	print \
	ram \
	reap \
	sched \
	service \
	shadow \
	slot \
	space \
	spec \
	svm \
	sync \
	timerq \
	tlb \
	vcpu \
	view \
	virtio \
	virtqueue \
	vmx \
	watch \

UNIT_CORE := \
	hypervisor/account.c \
	hypervisor/caps.c \
	hypervisor/derive.c \
	hypervisor/slot.c \
	hypervisor/space.c \
	hypervisor/tlb.c \
	tests/unit/fake.c \
	tests/unit/reap_fake.c \

UNIT_account := tests/unit/test_account.c $(UNIT_CORE)
UNIT_apic := tests/unit/test_apic.c hypervisor/apic.c
UNIT_boot := tests/unit/test_boot.c hypervisor/acpi.c hypervisor/bootmem.c hypervisor/multiboot.c
UNIT_clock := tests/unit/test_clock.c hypervisor/errata.c hypervisor/reference.c hypervisor/tsc.c
UNIT_ctx := tests/unit/test_ctx.c tests/unit/test_ctx_crowd.c tests/unit/ctx_world.c hypervisor/ctx.c hypervisor/remote.c hypervisor/sched.c \
	hypervisor/timerq.c
UNIT_event := tests/unit/test_event.c hypervisor/event.c hypervisor/timerq.c $(UNIT_CORE)
UNIT_flaws := tests/unit/test_flaws.c hypervisor/flaws.c
UNIT_grace := tests/unit/test_grace.c hypervisor/grace.c
UNIT_io := tests/unit/test_io.c hypervisor/io.c $(UNIT_CORE)
UNIT_ioapic := tests/unit/test_ioapic.c hypervisor/ioapic.c
UNIT_iommu := tests/unit/test_iommu.c hypervisor/iommu.c
UNIT_irq := tests/unit/test_irq.c hypervisor/irq.c $(UNIT_CORE)
UNIT_log := tests/unit/test_log.c hypervisor/log.c $(UNIT_CORE)
UNIT_mce := tests/unit/test_mce.c hypervisor/mce.c tests/unit/features_fake.c
UNIT_object := tests/unit/test_object.c tests/unit/object_world.c hypervisor/call.c hypervisor/identify.c \
	hypervisor/portal.c hypervisor/regs.c hypervisor/schedcall.c hypervisor/thread.c hypervisor/vcpu.c \
	$(filter-out tests/unit/reap_fake.c,$(UNIT_CORE))
UNIT_reap := tests/unit/test_reap.c tests/unit/reap_world.c hypervisor/reap.c hypervisor/memory.c hypervisor/domain.c \
	$(filter-out tests/unit/reap_fake.c,$(UNIT_CORE))
UNIT_sched := tests/unit/test_sched.c tests/unit/test_sched_run.c tests/unit/sched_world.c hypervisor/sched.c \
	hypervisor/timerq.c
UNIT_shadow := tests/unit/test_shadow.c tests/unit/test_shadow_insn.c tests/unit/test_shadow_table.c \
	hypervisor/regs.c hypervisor/shadow_cr.c hypervisor/shadow_insn.c hypervisor/shadow_table.c \
	hypervisor/shadow_walk.c $(UNIT_CORE)
UNIT_slot := tests/unit/test_slot.c $(UNIT_CORE)
UNIT_space := tests/unit/test_space.c $(UNIT_CORE)
UNIT_svm := tests/unit/test_svm.c tests/unit/features_fake.c hypervisor/regs.c hypervisor/shadow_cr.c \
	hypervisor/svm_cr.c hypervisor/svm_state.c
UNIT_sync := tests/unit/test_sync.c hypervisor/sync.c
UNIT_timerq := tests/unit/test_timerq.c hypervisor/timerq.c
UNIT_vmx := tests/unit/test_vmx.c tests/unit/features_fake.c hypervisor/regs.c hypervisor/vmx_exit.c \
	hypervisor/vmx_state.c $(UNIT_CORE)
UNIT_tlb := tests/unit/test_tlb.c $(UNIT_CORE)
UNIT_vcpu := tests/unit/test_vcpu.c tests/unit/features_fake.c hypervisor/regs.c hypervisor/timerq.c hypervisor/vcpu_event.c \
	hypervisor/vcpu_run.c hypervisor/vcpu_state.c $(UNIT_CORE)
UNIT_view := tests/unit/test_view.c hypervisor/boot_view.c

UNIT_area := tests/unit/test_area.c tasks/lib/area.c tasks/lib/pages.c tasks/lib/range.c tasks/lib/sel.c
UNIT_area_FLAGS := -Itests/unit -Itasks/lib -include tests/unit/calls_fake.h
UNIT_clear := tests/unit/test_clear.c tasks/root/clear.c
UNIT_clear_FLAGS := -Itests/unit -Itasks/root -Itasks/lib -include tests/unit/boot_fake.h -include tests/unit/calls_fake.h
UNIT_config := tests/unit/test_config.c tests/unit/test_config_fdt.c tests/unit/test_config_grant.c \
	tests/unit/test_config_wrong.c tests/unit/config_world.c tasks/root/config.c tasks/root/config_fdt.c \
	tasks/root/config_grant.c tasks/root/config_system.c tasks/root/property.c
UNIT_config_FLAGS := -Itests/unit -Itasks/root -Itasks/lib -include tests/unit/boot_fake.h
UNIT_console := tests/unit/test_console.c tests/unit/test_keys.c tests/unit/console_world.c tasks/console/client.c \
	tasks/console/keys.c tasks/console/line.c
UNIT_console_FLAGS := -Itests/unit -Itasks/console -Itasks/lib -include tests/unit/clock_fake.h -include tests/unit/calls_fake.h
UNIT_console_ring := tests/unit/test_console_ring.c tasks/console/client.c tasks/lib/stream.c
UNIT_console_ring_FLAGS := -Itests/unit -Itasks/console -Itasks/lib -include tests/unit/calls_fake.h
UNIT_elf := tests/unit/test_elf.c hypervisor/elf.c
UNIT_lib := tests/unit/test_lib.c tasks/lib/heap.c tasks/lib/random.c tasks/lib/range.c tasks/lib/sel.c
UNIT_lib_FLAGS := -Itests/unit -Itasks/lib -include tests/unit/calls_fake.h -include tests/unit/clock_fake.h \
	-Dmalloc=lib_malloc -Dfree=lib_free
UNIT_link := tests/unit/test_link.c tasks/root/link.c
UNIT_link_FLAGS := -Itests/unit -Itasks/root -Itasks/lib -include tests/unit/boot_fake.h -include tests/unit/calls_fake.h
UNIT_output := tests/unit/test_output.c tasks/root/output.c
UNIT_output_FLAGS := -Itests/unit -Itasks/root -Itasks/lib -include tests/unit/clock_fake.h
UNIT_print := tests/unit/test_print.c tasks/lib/print.c
UNIT_print_FLAGS := -Itests/unit -Itasks/lib -Dsnprintf=lib_snprintf -Dvsnprintf=lib_vsnprintf
UNIT_ram := tests/unit/test_ram.c tests/unit/ram_world.c tasks/root/pool.c tasks/root/ram.c
UNIT_ram_FLAGS := -Itests/unit -Itasks/root -Itasks/lib -include tests/unit/boot_fake.h -include tests/unit/calls_fake.h
UNIT_service := tests/unit/test_service.c tasks/root/offer.c tasks/root/service.c
UNIT_service_FLAGS := -Itests/unit -Itasks/root -Itasks/lib -include tests/unit/boot_fake.h -include tests/unit/clock_fake.h \
	-include tests/unit/calls_fake.h -include tests/unit/thread_fake.h
UNIT_watch := tests/unit/test_watch.c tasks/root/watch.c
UNIT_watch_FLAGS := -Itests/unit -Itasks/root -Itasks/lib -include tests/unit/boot_fake.h -include tests/unit/clock_fake.h \
	-include tests/unit/calls_fake.h
UNIT_spec := tests/unit/test_spec.c
UNIT_spec_FLAGS := -DSPEC='"hypercall-abi/spec.md"'

UNIT_VMM_FLAGS := -Itests/unit -Ivmm
UNIT_blk := tests/unit/test_blk.c vmm/dev/blk.c vmm/virtqueue.c
UNIT_blk_FLAGS := $(UNIT_VMM_FLAGS) -Itasks/lib
UNIT_bzimage := tests/unit/test_bzimage.c vmm/boot.c vmm/bzimage.c
UNIT_bzimage_FLAGS := $(UNIT_VMM_FLAGS)
UNIT_cpuid := tests/unit/test_cpuid.c vmm/cpuid.c
UNIT_cpuid_FLAGS := $(UNIT_VMM_FLAGS)
UNIT_devices := tests/unit/test_devices.c vmm/dev/power.c vmm/dev/rng.c vmm/virtqueue.c
UNIT_devices_FLAGS := $(UNIT_VMM_FLAGS) -Itasks/lib -include tests/unit/thread_fake.h
UNIT_devtree := tests/unit/test_devtree.c vmm/devtree.c
UNIT_devtree_FLAGS := $(UNIT_VMM_FLAGS)
UNIT_exit := tests/unit/test_exit.c vmm/cpuid.c vmm/exit.c vmm/msr.c
UNIT_exit_FLAGS := $(UNIT_VMM_FLAGS) -Itasks/lib -include tests/unit/task_fake.h
UNIT_msr := tests/unit/test_msr.c vmm/msr.c
UNIT_msr_FLAGS := $(UNIT_VMM_FLAGS)
UNIT_virtio := tests/unit/test_virtio.c tests/unit/ring.c vmm/virtio.c vmm/virtqueue.c
UNIT_virtio_FLAGS := $(UNIT_VMM_FLAGS)
UNIT_virtqueue := tests/unit/test_virtqueue.c tests/unit/test_virtqueue_cursor.c tests/unit/ring.c vmm/virtqueue.c
UNIT_virtqueue_FLAGS := $(UNIT_VMM_FLAGS)

# All interleavings (tests/unit/orders.h): the compiler tells orders_calls.c of each access.
# What no scenario comes to need not be there.
unit_sanitize = $(if $(filter orders_%,$(1)),$(if $(filter %/test,$(2)),$(ORDERS_LINK),$(orders_flags)),$(SANITIZE))
orders_flags = $(if $(filter $(ORDERS),$(2)),,-fsanitize=thread $(NO_TSAN_FENCE))
ORDERS := \
	tests/unit/orders.c \
	tests/unit/orders_calls.c \
	tests/unit/orders_words.c \

ORDERS_LINK := -no-pie -Wl,--unresolved-symbols=ignore-all
NO_TSAN_FENCE := $(if $(findstring clang,$(CC)),,-Wno-tsan)
UNIT_orders_event := tests/unit/test_orders_event.c $(ORDERS) tests/unit/orders_cpus.c tests/unit/features_fake.c \
	hypervisor/ctx.c hypervisor/event.c hypervisor/exit.c hypervisor/tlb.c hypervisor/vcpu_event.c hypervisor/vcpu_run.c
UNIT_orders_grace := tests/unit/test_orders_grace.c $(ORDERS) tests/unit/orders_cpus.c \
	tests/unit/features_fake.c hypervisor/exit.c hypervisor/grace.c
UNIT_orders_space := tests/unit/test_orders_space.c $(ORDERS) tests/unit/orders_cpus.c \
	hypervisor/domain.c hypervisor/space.c hypervisor/tlb.c
UNIT_orders_space_FLAGS := -Itests/unit -Ihypervisor -DUNIT_TEST -include tests/unit/orders_tables.h
UNIT_orders_stream := tests/unit/test_orders_stream.c $(ORDERS) tasks/console/client.c tasks/lib/stream.c
UNIT_orders_stream_FLAGS := -Itests/unit -Itasks/console -Itasks/lib -include tests/unit/clock_fake.h \
	-include tests/unit/calls_fake.h -include tests/unit/orders_copy.h
UNIT_orders_virtqueue := tests/unit/test_orders_virtqueue.c $(ORDERS) tests/unit/ring.c vmm/virtqueue.c
UNIT_orders_virtqueue_FLAGS := $(UNIT_VMM_FLAGS)

# Models of what interleavings decide, tests/model/NAME.pml, searched by spin. MODEL_NAME_WRONG: macros that each leave out a
# rule, so that something must go wrong.
MODELS := \
	bind \
	event \
	post \
	settle \
	vcpu \

MODEL_bind_WRONG := BEFORE ONCE TAKEN UNDER
MODEL_event_WRONG := FOUND LOOKED NOISY ONCE
MODEL_post_WRONG := AFTER IDLE LATE QUIET
MODEL_settle_WRONG := BEGUN KEPT SPLIT
MODEL_vcpu_WRONG := CLEARED CLOCK LOOKED POSTED REFUSED SLEEPS

# What reads the hypervisor's structures in a dump of a machine's memory.
DUMP_SRC := \
	tests/dump/accounts.c \
	tests/dump/check.c \
	tests/dump/corrupt.c \
	tests/dump/cpus.c \
	tests/dump/dump.c \
	tests/dump/mappings.c \
	tests/dump/objects.c \
	tests/dump/remote.c \
	tests/dump/things.c \
	tests/dump/tree.c \

# Drivers of QEMU and Bochs.
SYSTEM_SRC := \
	tests/system/bad.c \
	tests/system/console.c \
	tests/system/exits.c \
	tests/system/fallback.c \
	tests/system/hostile.c \
	tests/system/ipcbench.c \
	tests/system/load.c \
	tests/system/machine.c \
	tests/system/mitigations.c \
	tests/system/monitor.c \
	tests/system/many.c \
	tests/system/native.c \
	tests/system/one.c \
	tests/system/platform.c \
	tests/system/race.c \
	tests/system/reclaim.c \
	tests/system/shadow.c \
	tests/system/vmx.c \
	tests/system/workload.c \

# ---- Flags ---------------------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wconversion -Wundef -Wvla -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes
ifeq ($(CI),true)
WARN += -Werror
endif

COMMON := -std=gnu17 $(WARN) -g -ffile-prefix-map=$(CURDIR)=. -MMD -MP -Ihypercall-abi
# No FPU use: its state belongs to the guests. No stack protector: its canary would sit behind FS.
FREE := $(COMMON) -O2 -m64 -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fcf-protection=none -mno-red-zone -mgeneral-regs-only -ffunction-sections -fdata-sections \
	-fno-strict-aliasing
# No tables of jumps: the kernel has no indirect branches (docs/security.md).
# Without vector registers, nothing there needs a stack that is aligned to 16 bytes.
STACK_8 := $(if $(findstring clang,$(CC)),-mstack-alignment=8,-mpreferred-stack-boundary=3)
HYPERVISOR_FLAGS := $(FREE) -mcmodel=kernel -fno-jump-tables $(STACK_8) -Ihypervisor
TASK_FLAGS := $(FREE) -Itasks/lib -isystem tasks/lib/libc
LIB_FLAGS := $(TASK_FLAGS)
ROOT_FLAGS := $(TASK_FLAGS) -Itasks/root
CONSOLE_FLAGS := $(TASK_FLAGS) -Itasks/console
ECHO_FLAGS := $(TASK_FLAGS)
VMM_FLAGS := $(TASK_FLAGS) -Ivmm
GUEST_FLAGS := $(TASK_FLAGS) -Itests/guest
BENCH_FLAGS := $(TASK_FLAGS) -Itests/bench
HOST_FLAGS := $(COMMON) -O1
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LINK := -nostdlib -static -Wl,--build-id=none -Wl,--gc-sections -Wl,-z,max-page-size=4096 \
	-Wl,-z,noexecstack -Wl,--no-warn-rwx-segments
LIBFDT ?= /usr/lib/x86_64-linux-gnu/libfdt.a

# objects LIST: the object files of a source list.
objects = $(patsubst %,$(B)/%.o,$(basename $(1)))

# compile FOLDER,FLAGS: how sources below a folder become objects.
define compile
$(B)/$(1)/%.o: $(1)/%.c Makefile
	@mkdir -p $$(@D)
	@echo "  CC      $$<"
	$(Q)$$(CC) $(2) -c -o $$@ $$<
$(B)/$(1)/%.o: $(1)/%.S Makefile
	@mkdir -p $$(@D)
	@echo "  AS      $$<"
	$(Q)$$(CC) $(2) -D__ASSEMBLER__ -c -o $$@ $$<
endef
$(eval $(call compile,hypervisor,$$(HYPERVISOR_FLAGS)))
$(eval $(call compile,tasks/lib,$$(LIB_FLAGS)))
$(eval $(call compile,tasks/root,$$(ROOT_FLAGS)))
$(eval $(call compile,tasks/console,$$(CONSOLE_FLAGS)))
$(eval $(call compile,tasks/echo,$$(ECHO_FLAGS)))
$(eval $(call compile,vmm,$$(VMM_FLAGS)))
$(eval $(call compile,tests/guest,$$(GUEST_FLAGS)))
$(eval $(call compile,tests/bench,$$(BENCH_FLAGS)))

# ---- Hypervisor ----------------------------------------------------------------------------------------------

HYPERVISOR := $(B)/hypervisor/corbel.elf

.PHONY: hypervisor
hypervisor: $(HYPERVISOR) ## the hypervisor: build/hypervisor/corbel.elf

$(HYPERVISOR): $(call objects,$(HYPERVISOR_SRC)) hypervisor/corbel.ld
	@echo "  LD      $@"
	$(Q)$(CC) $(LINK) -Wl,-T,hypervisor/corbel.ld -o $@ $(filter %.o,$^)

# ---- Native tasks, VMM, native test tasks --------------------------------------------------------------------

LIBCORBEL := $(B)/tasks/libcorbel.a
ROOT := $(B)/tasks/root.elf
CONSOLE := $(B)/tasks/console.elf
ECHO := $(B)/tasks/echo.elf
VMM := $(B)/vmm/vmm.elf
GUESTS := $(GUEST_TASKS:%=$(B)/tests/guest/%.elf)

.PHONY: tasks vmm guest
tasks: $(LIBCORBEL) $(ROOT) $(CONSOLE) $(ECHO) ## runtime library, root, services: build/tasks/
vmm: $(VMM) ## the VMM: build/vmm/vmm.elf
guest: $(GUESTS) ## native test tasks: build/tests/guest/

$(LIBCORBEL): $(call objects,$(LIB_SRC))
	@echo "  AR      $@"
	$(Q)rm -f $@ && ar rcsD $@ $^

# task OUTPUT,SOURCES: link a native task.
define task
$(1): $(call objects,$(2)) $(LIBCORBEL) tasks/lib/task.ld
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	$(Q)$$(CC) $$(LINK) -Wl,-T,tasks/lib/task.ld -o $$@ $$(filter %.o,$$^) \
		-Wl,--start-group $$(LIBCORBEL) $$(LIBFDT) -Wl,--end-group
endef
$(eval $(call task,$(ROOT),$(ROOT_SRC)))
$(eval $(call task,$(CONSOLE),$(CONSOLE_SRC)))
$(eval $(call task,$(ECHO),$(ECHO_SRC)))
$(eval $(call task,$(VMM),$(VMM_SRC)))
$(foreach t,$(GUEST_TASKS),$(eval $(call task,$(B)/tests/guest/$(t).elf,tests/guest/$(t).c $(GUEST_$(t)))))
$(foreach t,$(BENCH_TASKS),$(eval $(call task,$(B)/tests/bench/$(t).elf,$(BENCH_$(t)))))

BENCHGUEST := $(B)/tests/bench/guest.bin
$(BENCHGUEST): $(call objects,$(BENCH_GUEST)) $(LIBCORBEL) tests/bench/guest/guest.ld
	@echo "  LD      $@"
	$(Q)$(CC) $(LINK) -Wl,-T,tests/bench/guest/guest.ld -o $(@:.bin=.elf) $(filter %.o,$^) \
		-Wl,--start-group $(LIBCORBEL) $(LIBFDT) -Wl,--end-group
	$(Q)objcopy -O binary -j .header -j .text $(@:.bin=.elf) $@

# The tiny guest is a bzImage of its own, for vCPUs instead of threads.
TINYGUEST := $(B)/tests/guest/tinyguest.bin
guest: $(TINYGUEST)
$(TINYGUEST): $(B)/tests/guest/tinyguest.o tests/guest/tinyguest.ld
	@echo "  LD      $@"
	$(Q)$(CC) $(LINK) -Wl,-T,tests/guest/tinyguest.ld -o $(@:.bin=.elf) $<
	$(Q)objcopy -O binary -j .header -j .text $(@:.bin=.elf) $@

# ---- Patched Linux and its file systems ----------------------------------------------------------------------

-include guest-patches/guest.mk
-include images/images.mk

# ---- Unit tests ----------------------------------------------------------------------------------------------

# unit NAME: one Criterion program, with sanitizers; objects of its own, since flags differ between programs.
define unit
$(B)/unit/$(1)/%.o: %.c Makefile
	@mkdir -p $$(@D)
	@echo "  HOSTCC  $$< ($(1))"
	$(Q)$$(CC) $$(HOST_FLAGS) $$(call unit_sanitize,$(1),$$<) $$(or $$(UNIT_$(1)_FLAGS),-Itests/unit -Ihypervisor -DUNIT_TEST) \
		-c -o $$@ $$<
$(B)/unit/$(1)/test: $$(patsubst %.c,$(B)/unit/$(1)/%.o,$$(UNIT_$(1)))
	@echo "  HOSTLD  $$@"
	$(Q)$$(CC) $$(call unit_sanitize,$(1),$$@) -o $$@ $$^ -lcriterion $$(LIBFDT)
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit,$(t))))

.PHONY: unit
unit: $(UNIT_TESTS:%=$(B)/unit/%/test) $(HYPERVISOR) ## build and run the unit tests
	$(Q)for t in $(UNIT_TESTS); do echo "  UNIT    $$t"; $(B)/unit/$$t/test || exit 1; done
	@echo "  UNIT    branches"
	$(Q)tests/unit/test_branches.py $(HYPERVISOR)
	@echo "  UNIT    bench"
	$(Q)tests/bench/test_results.py

# ---- Models --------------------------------------------------------------------------------------------------

.PHONY: model
model: ## search the models in tests/model/ with spin
	$(Q)$(foreach m,$(MODELS),tests/model/run tests/model/$(m).pml $(B)/model $(MODEL_$(m)_WRONG) &&) true

# ---- Dumps ---------------------------------------------------------------------------------------------------

CHECK_DUMP := $(B)/tests/dump/check-dump

$(B)/tests/dump/%.o: tests/dump/%.c Makefile
	@mkdir -p $(@D)
	@echo "  HOSTCC  $<"
	$(Q)$(CC) $(HOST_FLAGS) -iquote hypervisor -DUNIT_TEST -c -o $@ $<
$(CHECK_DUMP): $(call objects,$(DUMP_SRC))
	@echo "  HOSTLD  $@"
	$(Q)$(CC) -o $@ $^

.PHONY: check-dump
check-dump: $(CHECK_DUMP) $(HYPERVISOR) ## check the hypervisor's structures in a dump of memory: DUMP=FILE
	$(if $(DUMP),,$(error say which: make check-dump DUMP=FILE))$(CHECK_DUMP) $(HYPERVISOR) $(DUMP)

# ---- ISOs: boot/NAME.dts is the manifest of build/iso/NAME.iso, ISO_NAME its modules -------------------------

ISOS := \
	bad \
	bare \
	bench \
	bochs \
	calltest \
	crowd \
	exittest \
	flood \
	hostile \
	ipcbench \
	ipcbench2 \
	ipcguest \
	ipcnative \
	keys \
	linked \
	load \
	many \
	modules \
	mute \
	panic \
	panics \
	race \
	rant \
	reclaim \
	run \
	shadow \
	silent \
	stain \
	steal \
	tardy \
	tiny \
	two \

ISO_LINUX := console=$(CONSOLE) vmm=$(VMM) bzImage=$(BZIMAGE) initramfs=$(INITRAMFS)
ISO_calltest := console=$(CONSOLE) calltest=$(B)/tests/guest/calltest.elf
ISO_calltest_VIDEO := text
ISO_ipcguest := console=$(CONSOLE) echo=$(ECHO) vmm=$(VMM) guest=$(BENCHGUEST)
ISO_ipcguest_VIDEO := text
ISO_ipcnative := console=$(CONSOLE) native=$(B)/tests/bench/native.elf
ISO_ipcnative_VIDEO := text
ISO_linked := console=$(CONSOLE) echo=$(ECHO) linked=$(B)/tests/guest/linked.elf
ISO_linked_VIDEO := text
ISO_flood := console=$(CONSOLE) counter=$(B)/tests/guest/counter.elf
ISO_flood_VIDEO := text
ISO_bare := vmm=$(VMM) tiny=$(TINYGUEST)
ISO_bare_VIDEO := text
ISO_crowd := console=$(CONSOLE) counter=$(B)/tests/guest/counter.elf
ISO_crowd_VIDEO := text
ISO_keys := console=$(CONSOLE) reader=$(B)/tests/guest/reader.elf
ISO_keys_VIDEO := text
ISO_silent := silent=$(B)/tests/guest/silent.elf counter=$(B)/tests/guest/counter.elf
ISO_silent_VIDEO := text
ISO_rant := $(ISO_flood)
ISO_rant_VIDEO := text
ISO_stain := console=$(CONSOLE) stain=$(B)/tests/guest/stain.elf counter=$(B)/tests/guest/counter.elf
ISO_stain_VIDEO := text
ISO_hostile := console=$(CONSOLE) hostile=$(B)/tests/guest/hostile.elf victim=$(B)/tests/guest/victim.elf
ISO_hostile_VIDEO := text
ISO_race := console=$(CONSOLE) race=$(B)/tests/guest/race.elf
ISO_race_VIDEO := text
ISO_reclaim := console=$(CONSOLE) reclaim=$(B)/tests/guest/reclaim.elf
ISO_reclaim_VIDEO := text
ISO_run := $(ISO_LINUX) disk=$(TEST_DISK)
ISO_bochs := $(ISO_LINUX) disk=$(SMALL_DISK)
ISO_bochs_VIDEO := text
ISO_shadow := $(ISO_bochs)
ISO_shadow_VIDEO := text
ISO_tiny := console=$(CONSOLE) vmm=$(VMM) tiny=$(TINYGUEST)
ISO_tiny_VIDEO := text
ISO_exittest := console=$(CONSOLE) exittest=$(B)/tests/guest/exittest.elf
ISO_exittest_VIDEO := text
ISO_modules := console=$(CONSOLE) modules=$(B)/tests/guest/modules.elf $(foreach m,one several xz lzo,$(m)=$(B)/iso/module-$(m))
ISO_modules_VIDEO := text
ISO_many := $(ISO_LINUX) counter=$(B)/tests/guest/counter.elf
ISO_load := $(ISO_LINUX) disk=$(TEST_DISK)
ISO_panic := $(ISO_LINUX)
ISO_panics := $(ISO_LINUX)
ISO_steal := $(ISO_LINUX)
ISO_tardy := $(ISO_LINUX) tardy=$(B)/tests/guest/tardy.elf
ISO_mute := vmm=$(VMM) bzImage=$(BZIMAGE) initramfs=$(INITRAMFS)
ISO_bench := $(ISO_LINUX)
ISO_two := $(ISO_LINUX)
ISO_ipcbench := $(ISO_LINUX) echo=$(ECHO)
ISO_ipcbench2 := $(ISO_ipcbench)
ISO_bad := $(ISO_LINUX) counter=$(B)/tests/guest/counter.elf part=$(B)/iso/part

# iso NAME: its rules, and those of NAME-mitigations.iso and NAME-plain.iso, the same with the hypervisor's mitigations
# forced on and off. The exit port exists on QEMU alone, and is used only by a system that failed.
define iso
$(B)/iso/$(1).dtb: boot/$(1).dts
	@mkdir -p $$(@D)
	@echo "  DTC     $$@"
	$(Q)dtc -q -I dts -O dtb -o $$@ $$<
$(B)/iso/$(1).iso $(B)/iso/$(1)-mitigations.iso $(B)/iso/$(1)-plain.iso: boot/mkiso $(HYPERVISOR) $(ROOT) $(B)/iso/$(1).dtb \
		$$(foreach m,$$(ISO_$(1)),$$(lastword $$(subst =, ,$$m)))
	@echo "  ISO     $$@"
	$(Q)VIDEO=$$(ISO_$(1)_VIDEO) boot/mkiso $$@ "exit-port=0xf4$$(if $$(findstring -mitigations.iso,$$@), \
		mitigations=on)$$(if $$(findstring -plain.iso,$$@), mitigations=off)" \
		$(HYPERVISOR) $(ROOT) manifest=$(B)/iso/$(1).dtb $$(ISO_$(1))
endef
$(foreach i,$(ISOS),$(eval $(call iso,$(i))))

# What no boot loader should have loaded: the first part of a kernel; no manifest; and no root in their places.
$(B)/iso/part: $(BZIMAGE)
	@mkdir -p $(@D)
	$(Q)head -c 500000 $< >$@
# What a boot loader could take for its own business: compressed files, and what only begins like one.
$(B)/iso/module-one: Makefile
	@mkdir -p $(@D)
	$(Q)seq 100000 | gzip -n >$@
$(B)/iso/module-several: Makefile
	@mkdir -p $(@D)
	$(Q)for i in 1 2 3; do seq $${i}0000 | gzip -n; done >$@
$(B)/iso/module-xz: Makefile
	@mkdir -p $(@D)
	$(Q)seq 100000 | xz >$@
$(B)/iso/module-lzo: Makefile
	@mkdir -p $(@D)
	$(Q)(printf '\211LZO\000\r\n\032\n'; seq 1000) >$@
$(B)/iso/nofdt.iso: boot/mkiso $(HYPERVISOR) $(ROOT) $(CONSOLE)
	@echo "  ISO     $@"
	$(Q)boot/mkiso $@ exit-port=0xf4 $(HYPERVISOR) $(ROOT) manifest=$(CONSOLE)
$(B)/iso/noroot.iso: boot/mkiso $(HYPERVISOR)
	@echo "  ISO     $@"
	$(Q)boot/mkiso $@ exit-port=0xf4 $(HYPERVISOR) $(HYPERVISOR)

# Firmware that leaves things behind, with GRUB in its place: an interrupt with a vector of its own (an IPI to itself), which
# the BIOS takes without ending it; and interrupt remapping, where the machine has an Intel IOMMU.
$(B)/iso/firmware.iso: boot/mkiso $(HYPERVISOR) $(ROOT) $(B)/iso/linked.dtb $(foreach m,$(ISO_linked),$(lastword $(subst =, ,$(m))))
	@echo "  ISO     $@"
	$(Q)VIDEO=text FIRST='write_dword 0xfee00300 0x440f5; write_dword 0xfed90018 0x02000000' \
		boot/mkiso $@ exit-port=0xf4 $(HYPERVISOR) $(ROOT) \
		manifest=$(B)/iso/linked.dtb $(ISO_linked)

# ---- Run -----------------------------------------------------------------------------------------------------

EMULATOR ?= qemu
RUN_qemu := $(B)/iso/run.iso
RUN_bochs := $(B)/iso/bochs.iso
RUN = $(or $(RUN_$(EMULATOR)),$(error there is no emulator called $(EMULATOR)))

# Builds with all CPUs, after `deps` has seen to the tools.
BUILD = $(Q)$(MAKE) --no-print-directory -j$(shell nproc)

.PHONY: iso run run-machine
iso: $(RUN_qemu) ## the bootable image: build/iso/run.iso

# make's own complaint about a recipe that failed would be the last line: make it say the reason instead.
run-machine: deps
	$(BUILD) $(RUN)
	@EMULATOR=$(EMULATOR) boot/run $(RUN) $(B)/run || test -s $(B)/run/reason
run: run-machine ## Linux on Corbel on QEMU (EMULATOR=bochs: on Bochs), the terminal connected to its console
	$(if $(wildcard $(B)/run/reason),$(error $(shell cat $(B)/run/reason)))@:

# ---- System tests --------------------------------------------------------------------------------------------

SYSTEM := $(B)/tests/system/test
SYSTEM_NEEDS := $(SYSTEM) $(CHECK_DUMP) $(ISOS:%=$(B)/iso/%.iso) $(B)/iso/nofdt.iso $(B)/iso/noroot.iso \
	$(B)/iso/firmware.iso \
	$(patsubst %,$(B)/iso/%-mitigations.iso,calltest race run) \
	$(patsubst %,$(B)/iso/%-plain.iso,calltest exittest race)

$(B)/tests/system/%.o: tests/system/%.c Makefile
	@mkdir -p $(@D)
	@echo "  HOSTCC  $<"
	$(Q)$(CC) $(HOST_FLAGS) -DBUILD='"$(B)"' -c -o $@ $<
$(SYSTEM): $(call objects,$(SYSTEM_SRC))
	@echo "  HOSTLD  $@"
	$(Q)$(CC) -o $@ $^ -lcriterion

.PHONY: system test
system: $(SYSTEM_NEEDS) ## build and run the system tests (logs: build/logs/)
	$(SYSTEM) -j2 --verbose $(if $(T),--filter '$(T)')

test: deps ## all tests
	$(BUILD) $(UNIT_TESTS:%=$(B)/unit/%/test) $(SYSTEM_NEEDS)
	$(Q)$(MAKE) --no-print-directory -j1 unit model system

# What takes an hour, with new random numbers each time: tests/soak/run says what, and how to choose.
SOAK_NEEDS := $(SYSTEM) $(CHECK_DUMP) $(UNIT_TESTS:%=$(B)/unit/%/test) $(patsubst %,$(B)/iso/%.iso, \
	flood hostile ipcbench2 keys panics race race-mitigations race-plain rant reclaim run stain steal)

.PHONY: soak
soak: deps ## loop tests for an hour (SOAK="--minutes N --only TEXT ..."); failures: build/soak/
	$(BUILD) $(SOAK_NEEDS)
	$(Q)tests/soak/run $(B) $(SOAK)

# ---- Bench ---------------------------------------------------------------------------------------------------

# Plugins of QEMU: one counts the instructions of paths, one looks for the longest stretch without interrupts.
COUNTER := $(B)/tests/bench/counter.so
CLOSED := $(B)/tests/bench/closed.so
$(COUNTER) $(CLOSED): $(B)/tests/bench/%.so: tests/bench/%.c tests/bench/bench.h tests/bench/plugin.h tests/guest/hostile/marks.h Makefile
	@mkdir -p $(@D)
	@echo "  HOSTCC  $<"
	$(Q)$(CC) $(HOST_FLAGS) -O2 -fPIC -fvisibility=hidden -shared -o $@ $<

.PHONY: bench bench-ipc closed
BENCH_ISOS := $(foreach i,ipcguest ipcnative,$(B)/iso/$(i).iso $(B)/iso/$(i)-mitigations.iso) $(B)/iso/ipcguest-plain.iso

bench: deps ## measure against budgets
	$(BUILD) $(BENCH_ISOS) $(patsubst %,$(B)/iso/%.iso,bench calltest hostile) $(COUNTER) $(CLOSED)
	$(Q)tests/bench/run $(B) --boot $(BZIMAGE) $(INITRAMFS)

bench-ipc: deps ## only the paths of communication (TRACE=path: its instructions, one by one; EMULATOR=bochs: on VT-x)
	$(BUILD) $(BENCH_ISOS) $(COUNTER)
	$(Q)tests/bench/run $(B) $(if $(TRACE),--trace $(TRACE) $(if $(filter bochs,$(EMULATOR)),--bochs))

closed: deps ## the longest stretches without interrupts while an ISO runs: ISO=race (OPTIONS="-smp 8": QEMU's)
	$(if $(ISO),,$(error say which: make closed ISO=NAME))$(BUILD) $(B)/iso/$(ISO).iso $(CLOSED)
	$(Q)tests/bench/closed.py $(B) $(ISO) $(OPTIONS)

# ---- Mistakes made on purpose ----------------------------------------------------------------------------------

.PHONY: mutants
mutants: deps ## how many small mistakes (tests/mutation/) do the tests see? (M=PART: those whose names contain it)
	$(BUILD) $(BZIMAGE) $(INITRAMFS)
	$(Q)tests/mutation/run $(B) $(M)

# ---- The rest ------------------------------------------------------------------------------------------------

.PHONY: deps clean help
deps: ## install missing packages with apt-get, saying what and why
	@boot/deps

clean: ## remove build/
	rm -rf $(B)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 20

-include $(shell test -d $(B) && find $(B) -name '*.d' -not -path '$(B)/linux*')
