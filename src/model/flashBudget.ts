import { VmbuildError } from './errors.ts';
import type { FlashBudget } from './recipe.ts';

/** One row of the size table. */
export interface BudgetRow {
  readonly part: string;
  /** Bytes; undefined as long as the part has not been built. */
  readonly size: number | undefined;
  /** About as many bytes, from the recipe. */
  readonly about?: number | undefined;
}

/** A chip's size, and what of it cannot be ours; in bytes. */
interface Chip {
  readonly size: number;
  readonly taken?: Readonly<Record<string, number>> | undefined;
}

/** What is left of a flash chip when what cannot be ours is subtracted, in bytes. */
export function availableFlash({ size, taken }: Chip): number {
  return Object.values(taken ?? {}).reduce((left, bytes) => left - bytes, size);
}

/**
 * Who takes what of the flash.
 *
 * @throws VmbuildError BUDGET_EXCEEDED, whose message is the table, if the chip has less room than is needed at least,
 * or if the known parts are larger than the limit.
 */
export function checkFlashBudget(target: string, budget: FlashBudget, rows: readonly BudgetRow[]): void {
  const { flash, needed } = budget;
  if (flash !== undefined && needed !== undefined && availableFlash(flash) < needed) {
    throw new VmbuildError(
      'BUDGET_EXCEEDED',
      `${target} needs ${needed} bytes of flash at least, and its platform has ${availableFlash(flash)} for it:\n` +
        shortageTable(flash, needed, rows),
      { step: target, hints: ['This needs a board with a larger flash chip.'] },
    );
  }
  const total = rows.reduce((sum, row) => sum + (row.size ?? 0), 0);
  if (total <= budget.limit) return;
  throw new VmbuildError(
    'BUDGET_EXCEEDED',
    `${target} needs ${total} bytes of flash and may take ${budget.limit}:\n${budgetTable(budget, rows)}`,
    { step: target, hints: ['Make a part smaller, or raise the budget in platform.ts if the flash has room.'] },
  );
}

/** The table as text: part, bytes, share of the budget. */
export function budgetTable(budget: FlashBudget, rows: readonly BudgetRow[]): string {
  const total = rows.reduce((sum, row) => sum + (row.size ?? 0), 0);
  return [
    ...rows.map(({ part, size }) => line(part, size ?? 'not built yet', size, budget.limit)),
    line('together', total, total, budget.limit),
    line(
      total <= budget.limit ? 'free' : 'too much',
      Math.abs(budget.limit - total),
      Math.abs(budget.limit - total),
      budget.limit,
    ),
    line('budget', budget.limit, budget.limit, budget.limit),
  ].join('\n');
}

/** The chip, what of it cannot be had, and the parts, which may be estimates, against what is needed. */
function shortageTable(flash: Chip, needed: number, rows: readonly BudgetRow[]): string {
  const available = availableFlash(flash);
  const part = ({ part, size, about }: BudgetRow): string => {
    const bytes = size ?? about;
    const text = size ?? (about === undefined ? 'not built yet' : `about ${about}`);
    return line(part, text, bytes, needed);
  };
  return [
    line('flash chip', flash.size),
    ...Object.entries(flash.taken ?? {}).map(([name, bytes]) => line(name, `-${bytes}`)),
    line('left', available, available, needed),
    ...rows.map(part),
    line('needed', needed, needed, needed),
    line('too little by', needed - available, needed - available, needed),
  ].join('\n');
}

function line(name: string, bytes: number | string, counted?: number, whole?: number): string {
  const share = counted === undefined || whole === undefined ? '' : `${((100 * counted) / whole).toFixed(1)} %`;
  return `  ${name.padEnd(24)} ${String(bytes).padStart(13)} ${share.padStart(8)}`.trimEnd();
}
