import { expect, test } from 'vitest';
import type { OperationEnded, RunwardEvent } from '../../src/domain/event.ts';
import { sinksOf } from '../../src/worker/workers.ts';

const ended: OperationEnded = {
  kind: 'operation-ended',
  workflowId: 'cure/acme/kernel/r1',
  type: 'recoverRunner',
  runner: 'r1',
  scope: 'acme/kernel',
  trigger: 'check',
  cause: null,
  outcome: 'recovered',
  summary: 'r1 is online again',
  reason: null,
  durationMs: 1_000,
};

test('a task that is done once more tells nothing twice, and another run of the same workflow tells its own', () => {
  const heard: RunwardEvent[] = [];
  const { runward } = sinksOf((event) => heard.push(event));
  const tell = (runId: string, event: RunwardEvent): unknown => runward.happened.fn({ runId } as never, event);
  tell('one', ended);
  tell('one', { ...ended, durationMs: 1_100 });
  expect(heard).toEqual([ended]);
  tell('two', ended);
  expect(heard).toHaveLength(2);
});
