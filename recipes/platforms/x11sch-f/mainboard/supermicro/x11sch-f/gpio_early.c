/* SPDX-License-Identifier: GPL-2.0-only */

#include <commonlib/helpers.h>
#include <soc/gpio.h>

#include "gpio.h"

static const struct pad_config early_pads[] = {
	/* The SMBus is shared: high leads it to the memory modules' SPD EEPROMs. */
	PAD_CFG_GPO(GPP_B0, 1, DEEP),
};

void x11sch_f_early_gpios(void)
{
	gpio_configure_pads(early_pads, ARRAY_SIZE(early_pads));
}
