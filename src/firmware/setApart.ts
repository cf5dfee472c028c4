import type { BlobSlots } from '../model/blobSlot.ts';

/** Why a part of a flash image is not ours to compare: it is a vendor's blob, or the machine itself writes it. */
export type Apart = { readonly slot: string } | 'runtime';

/**
 * Areas that a machine writes while it runs, by the names that coreboot gives them: memory training, event log, the settings of
 * EDK II's and coreboot's own variable stores, the console's log.
 */
const RUNTIME_AREAS =
  /^(RW_MRC_CACHE|RW_VAR_MRC_CACHE|RECOVERY_MRC_CACHE|UNIFIED_MRC_CACHE|RW_ELOG|RW_NVRAM|SMMSTORE|CONSOLE)$/;

/** coreboot's areas for regions of Intel's flash descriptor (Documentation/ifdtool), by the region's name in the descriptor. */
const REGION_AREAS: Readonly<Record<string, string>> = { SI_DESC: 'fd', SI_ME: 'me', SI_GBE: 'gbe' };
/** Regions that are written at run time whoever made the image: the management engine's state, a network address. */
const RUNTIME_REGIONS = ['me', 'gbe'];

/** Why an area of the flash map, or a region of the descriptor, is set apart; undefined if it is not. */
export function areaApart(name: string, slots: BlobSlots): Apart | undefined {
  if (RUNTIME_AREAS.test(name)) return 'runtime';
  const region = REGION_AREAS[name] ?? name;
  for (const [slot, { fills }] of Object.entries(slots)) {
    if ('region' in fills && fills.region === region) return { slot };
  }
  return RUNTIME_REGIONS.includes(region) ? 'runtime' : undefined;
}

/** The slot that a file of the flash's file system fills; undefined if it is ours. */
export function fileSlot(name: string, slots: BlobSlots): string | undefined {
  return Object.entries(slots).find(([, { fills }]) => 'cbfs' in fills && fills.cbfs.includes(name))?.[0];
}
