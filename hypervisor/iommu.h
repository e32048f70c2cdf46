/* SPDX-License-Identifier: GPL-2.0-only */
/* IOMMUs. None is used yet. */
#ifndef IOMMU_H
#define IOMMU_H

/*
 * Boot: turns off what firmware has left on. Remapping of interrupts would keep all that is not in its table from the CPUs;
 * remapping of DMA would go by tables in memory that is somebody else's by now.
 */
void iommu_off(void);

#endif
