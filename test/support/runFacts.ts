/** What a statement of a test says of its run: nothing that matters. */
export const RUN = {
  licence: 'may-be-shared',
  executor: 'namespace',
  vmbuildVersion: '1',
  invocationId: 'x',
  startedOn: new Date(0),
  finishedOn: new Date(1),
} as const;
