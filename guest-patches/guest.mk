# SPDX-License-Identifier: GPL-2.0-only
#
# The guests' kernel; included by the Makefile. kernel.sh does the work.

LINUX := $(B)/linux
BZIMAGE := $(B)/bzImage
LINUX_SOURCE ?= /usr/src/linux-source-6.12.tar.xz
KERNEL_SH := LINUX=$(LINUX) BZIMAGE=$(BZIMAGE) SOURCE=$(LINUX_SOURCE) guest-patches/kernel.sh

.PHONY: guest-unpack guest-apply guest-kernel guest-refresh
guest-unpack: $(LINUX)/.unpacked
guest-apply: $(LINUX)/.applied ## unpack the guests' Linux and apply guest-patches/
guest-kernel: $(BZIMAGE) ## the guests' kernel: build/bzImage
guest-refresh: $(LINUX)/.unpacked ## write the commits of build/linux back to guest-patches/
	$(Q)$(KERNEL_SH) refresh
	$(Q)touch $(LINUX)/.applied

$(LINUX)/.unpacked:
	$(Q)$(KERNEL_SH) unpack
	$(Q)touch $@

$(LINUX)/.applied: $(LINUX)/.unpacked $(wildcard guest-patches/*.patch)
	$(Q)$(KERNEL_SH) apply
	$(Q)touch $@

# The image itself changes only if its content does, so that nothing that contains it is made again.
$(LINUX)/.built: $(LINUX)/.applied guest-patches/config guest-patches/kernel.sh $(wildcard hypercall-abi/corbel/*.h)
	$(Q)$(KERNEL_SH) build
	$(Q)touch $@

$(BZIMAGE): $(LINUX)/.built ;
