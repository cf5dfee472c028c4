/* SPDX-License-Identifier: GPL-2.0-only */

#include <soc/ramstage.h>

#include "gpio.h"

void mainboard_silicon_init_params(FSPS_UPD *supd)
{
	/* Before FSP-S, which looks at pads while it sets up the devices behind them. */
	x11sch_f_gpios();
}
