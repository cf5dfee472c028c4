/* SPDX-License-Identifier: GPL-2.0-only */

#include <bootblock_common.h>
#include <superio/aspeed/ast2400/ast2400.h>
#include <superio/aspeed/common/aspeed.h>

#include "gpio.h"

/* The management controller's Super I/O, where its serial ports are switched on. */
#define SUPERIO_PORT 0x2e

void bootblock_mainboard_early_init(void)
{
	x11sch_f_early_gpios();
	aspeed_enable_serial(PNP_DEV(SUPERIO_PORT, AST2400_SUART1), CONFIG_TTYS0_BASE);
}
