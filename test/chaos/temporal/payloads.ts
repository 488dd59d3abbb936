import { defaultFailureConverter, type Payload, type PayloadConverter } from '@temporalio/common';

/** What a history would carry: JSON, not spelt out in bytes. */
interface JsonPayload {
  readonly json: string | undefined;
}

/** Values are copied on their way, as between processes. */
export const payloads: PayloadConverter = {
  toPayload: (value) => ({ json: JSON.stringify(value) }) satisfies JsonPayload as unknown as Payload,
  fromPayload: <T>(payload: Payload) => {
    const { json } = payload as unknown as JsonPayload;
    return (json === undefined ? undefined : JSON.parse(json)) as T;
  },
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
