/**
 * A value that leaves no trace where objects are printed, logged, serialised or compared.
 * `reveal` is called only where a secret leaves the process on purpose; a test holds the list of those files.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]';
  }
}
