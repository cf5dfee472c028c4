import { constants } from 'node:os';

/** Name of a signal, `SIGKILL` for 9; real-time signals have none of their own and are called `SIG<number>`. */
export function signalName(signal: number): string {
  return Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? `SIG${signal}`;
}
