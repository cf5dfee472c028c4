import type { BuildEvent } from '../../build/events.ts';

/** Shows events as they come. */
export interface Renderer extends Disposable {
  readonly emit: (event: BuildEvent) => void;
}

/** Where a renderer writes: standard error or output, or a string in tests. */
export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}
