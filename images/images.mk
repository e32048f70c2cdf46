# SPDX-License-Identifier: GPL-2.0-only
#
# What guests boot and mount; included by the Makefile after guest.mk.

INITRAMFS := $(B)/initramfs.gz
TEST_DISK := $(B)/disk.img
SMALL_DISK := $(B)/small.img

.PHONY: images
images: $(INITRAMFS) $(TEST_DISK) $(SMALL_DISK) ## the guests' initramfs, and disks with files

$(B)/gen_init_cpio: $(LINUX)/.unpacked
	@echo "  HOSTCC  $@"
	$(Q)gcc -O2 -o $@ $(LINUX)/usr/gen_init_cpio.c

$(B)/initramfs.list: images/initramfs/list /bin/busybox
	@mkdir -p $(@D)
	$(Q)cp $< $@
	$(Q)/bin/busybox --list | grep -vx busybox | \
		sed 's|.*|slink /bin/& busybox 0777 0 0|' >>$@
	$(Q)echo 'file /bin/blkread $(B)/images/blkread 0755 0 0' >>$@
	$(Q)echo 'file /bin/ipcbench $(B)/images/ipcbench 0755 0 0' >>$@
	$(Q)echo 'file /tests/hostile $(B)/images/hostile 0755 0 0' >>$@
	$(Q)echo 'file /bin/tardy $(B)/images/tardy 0755 0 0' >>$@

# Programs of the guests' own, static: images/programs/. The interface of /dev/corbel is the patched kernel's.
PROGRAMS := $(B)/images/blkread $(B)/images/ipcbench $(B)/images/hostile $(B)/images/tardy
PROGRAM_FLAGS := -std=gnu17 -D_GNU_SOURCE $(WARN) -O2 -ffile-prefix-map=$(CURDIR)=. -MMD -MP -I$(B)/images/include

PROGRAM_blkread := \
	images/programs/blkread.c \

PROGRAM_ipcbench := \
	images/programs/corbel.c \
	images/programs/ipcbench.c \
	images/programs/peer.c \
	images/programs/results.c \
	images/programs/rounds.c \
	images/programs/service.c \

PROGRAM_hostile := \
	images/programs/corbel.c \
	images/programs/hostile.c \
	images/programs/hostile_flood.c \
	images/programs/hostile_links.c \
	images/programs/hostile_memory.c \
	images/programs/hostile_requests.c \
	images/programs/hostile_storm.c \

PROGRAM_tardy := \
	images/programs/corbel.c \
	images/programs/tardy.c \

# It changes only if its content does.
$(B)/images/include/.copied: $(LINUX)/.applied
	@mkdir -p $(@D)/linux
	$(Q)cmp -s $(LINUX)/include/uapi/linux/corbel.h $(@D)/linux/corbel.h || \
		cp $(LINUX)/include/uapi/linux/corbel.h $(@D)/linux/corbel.h
	$(Q)touch $@
$(B)/images/include/linux/corbel.h: $(B)/images/include/.copied ;

$(B)/images/%.o: images/%.c $(B)/images/include/linux/corbel.h Makefile images/images.mk
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(PROGRAM_FLAGS) -c -o $@ $<
$(PROGRAMS): $(B)/images/%:
	@echo "  LD      $@"
	$(Q)$(CC) -static -s -Wl,--build-id=none -o $@ $(filter %.o,$^)
$(B)/images/blkread: $(call objects,$(PROGRAM_blkread))
$(B)/images/ipcbench: $(call objects,$(PROGRAM_ipcbench))
$(B)/images/hostile: $(call objects,$(PROGRAM_hostile))
$(B)/images/tardy: $(call objects,$(PROGRAM_tardy))

$(INITRAMFS): $(B)/initramfs.list $(B)/gen_init_cpio $(PROGRAMS) $(wildcard images/initramfs/* images/initramfs/tests/*)
	@echo "  CPIO    $@"
	$(Q)$(B)/gen_init_cpio -t $(SOURCE_DATE_EPOCH) $< | gzip -9n >$@

$(TEST_DISK): images/mkdisk
	@echo "  DISK    $@"
	@mkdir -p $(@D)
	$(Q)images/mkdisk $@

$(SMALL_DISK): images/mkdisk
	@echo "  DISK    $@"
	@mkdir -p $(@D)
	$(Q)images/mkdisk $@ 0
