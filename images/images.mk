# SPDX-License-Identifier: GPL-2.0-only
#
# What guests boot and mount; included by the Makefile after guest.mk.

INITRAMFS := $(B)/initramfs.gz
TEST_DISK := $(B)/disk.img
SMALL_DISK := $(B)/small.img

.PHONY: images
images: $(INITRAMFS) $(TEST_DISK) $(SMALL_DISK) ## the guests' initramfs and disks with files: build/initramfs.gz, build/disk.img, build/small.img

$(B)/gen_init_cpio: $(LINUX)/.unpacked
	@echo "  HOSTCC  $@"
	$(Q)gcc -O2 -o $@ $(LINUX)/usr/gen_init_cpio.c

$(B)/initramfs.list: images/initramfs/list /bin/busybox
	@mkdir -p $(@D)
	$(Q)cp $< $@
	$(Q)/bin/busybox --list | grep -vx busybox | \
		sed 's|.*|slink /bin/& busybox 0777 0 0|' >>$@

$(INITRAMFS): $(B)/initramfs.list $(B)/gen_init_cpio $(wildcard images/initramfs/* images/initramfs/tests/*)
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
