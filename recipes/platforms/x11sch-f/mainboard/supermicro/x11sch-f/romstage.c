/* SPDX-License-Identifier: GPL-2.0-only */

#include <soc/cnl_memcfg_init.h>
#include <soc/romstage.h>

/* FSP wants the address as it is on the wire, above the read/write bit. */
#define SPD_AT(address) {						\
	.read_type = READ_SMBUS,					\
	.spd_spec = { .spd_smbus_address = (address) << 1 },		\
}

static const struct cnl_mb_cfg memory = {
	/* One module per channel: the first slots of channels 0 and 1. */
	.spd[0] = SPD_AT(0x50),
	.spd[2] = SPD_AT(0x52),

	.rcomp_resistor = { 121, 75, 100 },
	.rcomp_targets = { 60, 26, 20, 20, 26 },
	.dq_pins_interleaved = 1,
	.vref_ca_config = 2,
	.ect = 0,
};

void mainboard_memory_init_params(FSPM_UPD *mupd)
{
	mupd->FspmConfig.UserBd = BOARD_TYPE_SERVER;
	cannonlake_memcfg_init(&mupd->FspmConfig, &memory);
}
