/** The fields of an operation's one input, as a person types it, or what is wrong with it and how it should look. Nothing at all has no fields. */
export function readFields(
  type: string,
  given: readonly unknown[],
  { keys, example }: { readonly keys: readonly string[]; readonly example: string },
): { readonly fields: Readonly<Record<string, unknown>> } | { readonly problem: string } {
  if (given.length > 1) {
    return { problem: `${type} takes one input, ${example}, but got ${given.length}` };
  }
  const input = given[0] ?? {};
  if (typeof input !== 'object' || Array.isArray(input)) {
    return { problem: `${type} takes an object such as ${example}, but got ${JSON.stringify(input)}` };
  }
  const fields = input as Readonly<Record<string, unknown>>;
  const strange = Object.keys(fields).filter((key) => !keys.includes(key));
  return strange.length === 0 ? { fields } : { problem: `${type} does not know ${strange.join(', ')}: allowed are ${keys.join(', ')}` };
}
