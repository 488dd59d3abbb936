import { defaultFailureConverter, type Payload, type PayloadConverter } from '@temporalio/common';

/** What a history would carry: a text that is read when somebody asks for it, as few do. */
class CopiedPayload {
  #json: string | null = null;
  #copy: unknown = undefined;

  constructor(value: unknown) {
    if (typeof value === 'object' && value !== null) {
      this.#json = JSON.stringify(value);
    } else if (typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)) {
      this.#copy = value;
    } else if (typeof value === 'number' || value === null) {
      this.#copy = null;
    }
  }

  get copy(): unknown {
    if (this.#json !== null) {
      this.#copy = JSON.parse(this.#json);
      this.#json = null;
    }
    return this.#copy;
  }
}

/** Values are copied on their way, as between processes; who takes one must not change it, since others get the same. */
export const payloads: PayloadConverter = {
  toPayload: (value) => new CopiedPayload(value) as unknown as Payload,
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
