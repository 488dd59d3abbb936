import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { namespaceOf } from '../../../kit/temporal-setup.ts';
import { realDriver } from './real-driver.ts';
import { SCENARIOS } from './scenarios.ts';
import { virtualDriver } from './virtual-driver.ts';

/** What the virtual Temporal answered; a process has one virtual clock at a time. */
const virtual = new Map<string, unknown>();

describe('the virtual Temporal behaves as the real one', () => {
  let driver: Awaited<ReturnType<typeof realDriver>>;

  beforeAll(async () => {
    for (const [name, scenario] of Object.entries(SCENARIOS)) {
      using own = virtualDriver();
      virtual.set(name, await scenario(own, 'sample'));
    }
    driver = await realDriver(inject('temporalAddress'), namespaceOf(1));
  });

  afterAll(() => driver[Symbol.asyncDispose]());

  describe.concurrent('in', () => {
    let count = 0;
    test.for(Object.entries(SCENARIOS))('%s', async ([name, scenario]) => {
      const id = `sample-${process.pid}-${(count += 1)}`;
      const real = JSON.stringify(await scenario(driver, id)).replaceAll(id, 'sample');
      expect(JSON.parse(JSON.stringify(virtual.get(name)))).toEqual(JSON.parse(real));
    });
  });
});
