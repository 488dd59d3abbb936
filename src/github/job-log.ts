// A job's log, read as a stream from the host that GitHub refers to, whose business GitHub's token is not.

import { logLineOf } from '../domain/plain.ts';
import type { FailurePort, LogRead } from './port.ts';
import { reasonOf, sortFailure } from './refusals.ts';

export interface LogSource {
  readonly fetch: typeof globalThis.fetch;
  /** How long nothing may come. A big log takes its time, so the whole has no limit. */
  readonly silenceMs: number;
}

type How = Parameters<FailurePort['readJobLog']>[2];

const MISSING: readonly number[] = [404, 410];

/**
 * `null` where there is none. Any other refusal is one of this address, and GitHub gives a new one each time: to be tried again.
 * @param what what GitHub was asked, for the message: the address is as good as a key
 */
export async function readLog(
  { fetch, silenceMs }: LogSource,
  { what, address }: { readonly what: string; readonly address: string },
  { mostBytes, onLine }: How,
  signal: AbortSignal,
): Promise<LogRead | null> {
  signal.throwIfAborted();
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), silenceMs);
  const fail = (failure: unknown): never => {
    signal.throwIfAborted();
    throw sortFailure({ what }, silence.signal.aborted ? `nothing came for ${silenceMs / 1000} s` : failure);
  };
  try {
    const response = await fetch(address, { signal: AbortSignal.any([signal, silence.signal]) }).catch(fail);
    if (response.ok) {
      const chunks = response.body === null ? [] : chunksOf(response.body, { onChunk: () => timer.refresh(), fail });
      return await readLines(chunks, mostBytes, createLines(onLine));
    }
    await response.body?.cancel();
    return MISSING.includes(response.status) ? null : fail(`the host of its logs answered ${response.status}`);
  } finally {
    clearTimeout(timer);
  }
}

/** @param fail throws what becomes of a failure to read */
async function* chunksOf(
  body: ReadableStream<Uint8Array>,
  { onChunk, fail }: { readonly onChunk: () => void; readonly fail: (failure: unknown) => never },
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) {
      onChunk();
      yield chunk;
    }
  } catch (error) {
    fail(`the connection broke off in the middle of the log (${reasonOf(error)})`);
  }
}

/** Leaving the loop cancels the stream. */
async function readLines(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, mostBytes: number, lines: Lines): Promise<LogRead> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let bytes = 0;
  for await (const chunk of chunks) {
    const part = chunk.subarray(0, mostBytes - bytes);
    bytes += part.length;
    if (lines.add(decoder.decode(part, { stream: true })) === 'enough') return { kind: 'read', bytes, isCut: false };
    if (part.length < chunk.length) return { kind: 'read', bytes, isCut: true };
  }
  if (lines.add(decoder.decode()) === 'more') lines.end();
  return { kind: 'read', bytes, isCut: false };
}

interface Lines {
  add(text: string): ReturnType<How['onLine']>;
  /** Tells the last line where nothing ends it. */
  end(): void;
}

/** In characters, with the time stamp. The rest of a longer one is left out: it is a file that was printed, or a progress bar. */
const LONGEST_LINE = 8_192;

/** GitHub's time stamp, and the byte order mark of each file that a log is put together from. */
const STAMP = /^\uFEFF?(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z ?)?/;

function createLines(onLine: How['onLine']): Lines {
  let begun = '';
  /** It has its full length, and was told. */
  let isTold = false;
  const tell = (): ReturnType<How['onLine']> => onLine(logLineOf(begun.replace(/\r$/, '').replace(STAMP, ''), LONGEST_LINE));
  return {
    add(text) {
      let from = 0;
      while (from < text.length) {
        const newline = text.indexOf('\n', from);
        const end = newline === -1 ? text.length : newline;
        begun += text.slice(from, Math.min(end, from + LONGEST_LINE - begun.length));
        const isFull = begun.length === LONGEST_LINE;
        if ((newline !== -1 || isFull) && !isTold && tell() === 'enough') return 'enough';
        isTold = isFull && newline === -1;
        if (newline !== -1) begun = '';
        from = end + 1;
      }
      return 'more';
    },
    end() {
      if (begun !== '' && !isTold) tell();
    },
  };
}
