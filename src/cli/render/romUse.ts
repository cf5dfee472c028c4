import type { FlashUse } from '../../firmware/flashUse.ts';
import { formatTable } from '../format.ts';

/** Who takes what of the flash, as a table: bytes, and the share of the budget. */
export function useText({ size, taken, used, budget, free }: FlashUse): string {
  const row = (name: string, bytes: number, share = true): string[] => [
    `  ${name}`,
    String(bytes).padStart(10),
    share ? `${((100 * bytes) / budget).toFixed(1)} %`.padStart(8) : '',
  ];
  return `flash:\n${formatTable([
    row('chip', size, false),
    row("the vendor's", taken, false),
    row('used', used),
    row(free < 0 ? 'too much' : 'free', Math.abs(free)),
    row('budget', budget),
  ])}`;
}
