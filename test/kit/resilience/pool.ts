/** Lends each of its things to one borrower at a time; the others wait in order. */
export class Pool<Thing> {
  readonly #free: Thing[];
  readonly #waiting: ((thing: Thing) => void)[] = [];

  constructor(things: readonly Thing[]) {
    this.#free = [...things];
  }

  async with<Result>(use: (thing: Thing) => Promise<Result>): Promise<Result> {
    const thing = this.#free.pop() ?? (await new Promise<Thing>((resolve) => this.#waiting.push(resolve)));
    try {
      return await use(thing);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) {
        this.#free.push(thing);
      } else {
        next(thing);
      }
    }
  }
}
