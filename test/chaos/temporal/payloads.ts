import { defaultFailureConverter, type Payload, type PayloadConverter } from '@temporalio/common';

/** What a history would carry: what JSON leaves of the value, not spelt out in bytes. */
interface CopiedPayload {
  readonly copy: unknown;
}

/** Values are copied on their way, as between processes; who takes one must not change it, since others get the same. */
export const payloads: PayloadConverter = {
  toPayload: (value) => {
    const json = JSON.stringify(value) as string | undefined;
    return { copy: json === undefined ? undefined : (JSON.parse(json) as unknown) } satisfies CopiedPayload as unknown as Payload;
  },
  fromPayload: <T>(payload: Payload) => (payload as unknown as CopiedPayload).copy as T,
};

export type Fields = Readonly<Record<string, Payload>>;

export function toFields(values: Readonly<Record<string, unknown>>): Fields {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, payloads.toPayload(value)]));
}

export function fromFields(fields: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, payloads.fromPayload(value)]));
}

/** A failure as Temporal carries it. */
export type Failure = ReturnType<typeof defaultFailureConverter.errorToFailure>;

export function toFailure(error: unknown): Failure {
  return defaultFailureConverter.errorToFailure(error, payloads);
}

export function fromFailure(failure: Failure): Error {
  return defaultFailureConverter.failureToError(failure, payloads);
}
