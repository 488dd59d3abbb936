import { expect, test } from 'vitest';
import { createTagsShelf } from '../../src/activities/tags-shelf.ts';

const MINUTE = 60_000;
const SAID_AT = 1_000 * MINUTE;

test('what was said of a name holds for pushes of before, and for those alone', () => {
  const shelf = createTagsShelf();
  shelf.keep('acme/kernel', 'v1', true, SAID_AT);
  shelf.keep('acme/kernel', 'topic', false, SAID_AT);
  const find = (pushedAt: number): readonly unknown[] => ['v1', 'topic', 'other'].map((name) => shelf.find('acme/kernel', name, pushedAt));
  expect(find(SAID_AT - 2 * MINUTE)).toEqual([true, false, undefined]);
  expect(find(SAID_AT - MINUTE)).toEqual([undefined, undefined, undefined]);
  expect(find(SAID_AT + MINUTE)).toEqual([undefined, undefined, undefined]);
  expect(shelf.find('acme/other', 'v1', 0)).toBeUndefined();
});

test('the oldest are forgotten first', () => {
  const shelf = createTagsShelf(2);
  for (const name of ['a', 'b', 'a', 'c']) {
    shelf.keep('acme/kernel', name, true, SAID_AT);
  }
  expect(['a', 'b', 'c'].map((name) => shelf.find('acme/kernel', name, 0))).toEqual([true, undefined, true]);
});
