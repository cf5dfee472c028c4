/* SPDX-License-Identifier: GPL-2.0-only */

#ifndef X11SCH_F_GPIO_H
#define X11SCH_F_GPIO_H

/* Before memory is there: what is needed to find it. */
void x11sch_f_early_gpios(void);

/* Everything. */
void x11sch_f_gpios(void);

#endif
