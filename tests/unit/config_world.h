/* SPDX-License-Identifier: GPL-2.0-only */
/* A manifest with one VM, one task and a console, to be changed and read by tests of root's configuration. */
#ifndef CONFIG_WORLD_H
#define CONFIG_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"

#define SIZE 16384u

#define VM "/domains/linux"
#define TASK "/domains/service"
#define CONSOLE "/console"

/* Exactly of the module's size, so that the sanitizer sees what lies behind. */
extern uint8_t *manifest;
extern struct cb_boot_entry manifest_module;
extern bool manifest_missing, manifest_unmapped;
extern struct cb_boot_entry modules[];

/* What was read last. */
extern struct config config;
extern struct config_error error;

void make_manifest(void);

void set_bytes(const char *node, const char *property, const void *bytes, int size);
void set_string(const char *node, const char *property, const char *value);
void set_number(const char *node, const char *property, uint32_t value);
void set_cells(const char *node, const char *property, const uint32_t *values, unsigned count);
void remove_property(const char *node, const char *property);
int add_node(const char *parent, const char *name);

bool read_domain(int node);
bool read_node(const char *node);

/* The node is refused, and the error names this property and this reason; expect() makes a new manifest then. */
void expect_of(int node, const char *property, const char *reason);
void expect(const char *node, const char *property, const char *reason);

#endif
