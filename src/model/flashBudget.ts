import { VmbuildError } from './errors.ts';
import type { FlashBudget } from './recipe.ts';

/** One row of the size table. */
export interface BudgetRow {
  readonly part: string;
  /** Bytes; undefined as long as the part has not been built. */
  readonly size: number | undefined;
}

/**
 * Who takes what of the flash.
 *
 * @throws VmbuildError BUDGET_EXCEEDED, whose message is the table, if the known parts are larger than the limit.
 */
export function checkFlashBudget(target: string, budget: FlashBudget, rows: readonly BudgetRow[]): void {
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
  const line = (name: string, size: number | undefined): string => {
    const share = size === undefined ? '' : `${((100 * size) / budget.limit).toFixed(1)} %`;
    return `  ${name.padEnd(24)} ${(size === undefined ? 'not built yet' : String(size)).padStart(13)} ${share.padStart(8)}`;
  };
  return [
    ...rows.map((row) => line(row.part, row.size)),
    line('together', total),
    line(total <= budget.limit ? 'free' : 'too much', Math.abs(budget.limit - total)),
    line('budget', budget.limit),
  ].join('\n');
}
