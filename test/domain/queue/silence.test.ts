import { describe, expect, test } from 'vitest';
import { labelSetOf } from '../../../src/domain/queue/run.ts';
import { isSilenceNews, isSilentNow, noteSilences, silenceBegins, silentMs, type Silence } from '../../../src/domain/queue/silence.ts';
import { HOUR, MINUTE, NOW } from '../../kit/queue.ts';

const BPF = labelSetOf(['self-hosted', 'linux', 'x64', 'bpf']);
const GPU = labelSetOf(['self-hosted', 'linux', 'x64', 'bpf', 'gpu']);
/** As a runner counts that is configured and not registered. */
const BPF_GONE = labelSetOf(['self-hosted', 'linux', 'x64', 'arm64', 'arm', 'bpf']);
const BPF_ARM = labelSetOf(['self-hosted', 'linux', 'arm64', 'bpf']);

type Look = readonly [atHour: number, offered: readonly (typeof BPF)[], silent: readonly (typeof BPF)[]];

/** What is remembered after looks at these hours. */
function after(...looks: readonly Look[]): readonly Silence[] {
  return looks.reduce<readonly Silence[]>((silences, [hour, offered, silent]) => {
    const at = hour * HOUR;
    return noteSilences(silences, { offered, silent }, { at, since: 0, begins: at });
  }, []);
}

function hoursOf(silences: readonly Silence[], offered: readonly (typeof BPF)[], asked: readonly string[] = ['bpf'], until = 10): number {
  return silentMs(asked, { offered }, silences, 0, until * HOUR) / HOUR;
}

describe('a silence', () => {
  test('lasts from the look that finds nobody online to the one that finds somebody', () => {
    expect(hoursOf(after([1, [BPF], []], [2, [BPF], [BPF]], [5, [BPF], [BPF]], [6, [BPF], []]), [BPF])).toBe(4);
    expect(hoursOf(after([2, [BPF], [BPF]]), [BPF])).toBe(8);
    expect(hoursOf(after([2, [BPF], [BPF]], [3, [BPF], []], [5, [BPF], [BPF]], [6, [BPF], []]), [BPF])).toBe(2);
  });

  test('counts only if it is one of all that could take the job', () => {
    const silences = after([2, [BPF, GPU], [BPF]], [4, [BPF, GPU], [BPF, GPU]], [5, [BPF, GPU], []]);
    expect(hoursOf(silences, [BPF, GPU])).toBe(1);
    expect(hoursOf(silences, [BPF, GPU], ['gpu'])).toBe(1);
    expect(hoursOf(silences, [BPF])).toBe(3);
    expect(hoursOf(silences, [], ['bpf'])).toBe(0);
  });

  test('of a runner that is not registered is one of what it is once it is registered', () => {
    expect(hoursOf(after([1, [BPF_GONE], [BPF_GONE]], [7, [BPF], []]), [BPF])).toBe(6);
    expect(hoursOf(after([1, [BPF], [BPF]], [3, [BPF_GONE], [BPF_GONE]], [7, [BPF], []]), [BPF])).toBe(6);
  });

  test('of one architecture is none of another', () => {
    const silences = after([1, [BPF, BPF_ARM], [BPF_ARM]], [7, [BPF, BPF_ARM], []]);
    expect(hoursOf(silences, [BPF, BPF_ARM])).toBe(0);
    expect(hoursOf(silences, [BPF, BPF_ARM], ['bpf', 'arm64'])).toBe(6);
    // Another runner of that kind is there and works.
    expect(hoursOf(after([1, [BPF, BPF_GONE], [BPF_GONE]], [7, [BPF, BPF_GONE], []]), [BPF])).toBe(0);
  });

  test('ends with its kind, and is forgotten once no run waits since then', () => {
    const look = { at: 9 * HOUR, since: 3 * HOUR, begins: 9 * HOUR };
    const silences = after([1, [BPF], [BPF]], [2, [BPF], []], [4, [GPU], [GPU]]);
    expect(noteSilences(silences, { offered: [BPF], silent: [] }, look).every(({ until }) => until === 9 * HOUR)).toBe(true);
    expect(noteSilences(silences, { offered: [BPF], silent: [] }, look).some(({ from }) => from === HOUR)).toBe(false);
  });

  test('begins by no look that may not say so', () => {
    expect(noteSilences([], { offered: [BPF], silent: [BPF] }, { at: NOW, since: 0, begins: null })).toEqual([]);
  });

  test('that begins or ends is news, and no other look is', () => {
    const [none, one] = [after([1, [BPF], []]), after([1, [BPF], [BPF]])];
    expect([isSilenceNews(none, one), isSilenceNews(one, none), isSilenceNews(one, after([1, [BPF], [BPF]], [2, [BPF], [BPF]]))]).toEqual([
      true,
      true,
      false,
    ]);
  });
});

test('a silence that nobody could have seen begin has begun with the last look, or long ago', () => {
  expect(silenceBegins(NOW, NOW - 5 * MINUTE)).toBe(NOW);
  expect(silenceBegins(NOW, NOW - 9 * HOUR)).toBe(NOW - 9 * HOUR);
  expect(silenceBegins(NOW, null)).toBe(0);
});

test('nobody is online for a job if runners could take it, and none of them is', () => {
  const runners = { offered: [BPF, GPU], silent: [BPF] };
  expect([isSilentNow(['bpf'], runners), isSilentNow(['gpu'], runners), isSilentNow(['arm'], runners)]).toEqual([false, false, false]);
  expect(isSilentNow(['bpf'], { ...runners, silent: [BPF, GPU] })).toBe(true);
});
