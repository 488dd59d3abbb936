// A query of GraphQL: its text as a tree, and what a tree of fields answers to it.

/** What a query asks of an object. */
export interface Selection {
  readonly name: string;
  readonly alias: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** None of a plain value. */
  readonly inner: readonly Selected[];
}

/** A field, or fields of objects of one type alone. */
export type Selected = Selection | { readonly onType: string; readonly inner: readonly Selected[] };

/** An object as the API has it: a field is a plain value, an object, `null`, or a list of functions that give them. */
export interface Node {
  readonly type: string;
  readonly fields: Readonly<Record<string, (values: Selection['values']) => unknown>>;
}

/** What the query does not get, in GitHub's words. */
export class QueryError extends Error {
  readonly type: 'FORBIDDEN' | 'NOT_FOUND' | null;
  constructor(message: string, type: QueryError['type'] = null) {
    super(message);
    this.type = type;
  }
}

/** Throws {@link QueryError} for a text that is none, and for a variable that is not given. */
export function parseQuery(text: string, variables: Readonly<Record<string, unknown>>): readonly Selected[] {
  const tokens = text.match(/\.\.\.|[A-Za-z_]\w*|\d+|"[^"\\\n]*"|[^\s,]/g) ?? [];
  const given = (name: string): unknown => {
    if (!(name in variables)) throw new QueryError(`Variable $${name} was provided invalid value`);
    return variables[name];
  };
  const accept = (wanted: string): boolean => tokens[0] === wanted && tokens.shift() !== undefined;
  const next = (): string => {
    const token = tokens.shift();
    if (token === undefined) throw new QueryError('Unexpected end of document');
    return token;
  };
  const expectToken = (wanted: string): void => {
    const token = next();
    if (token !== wanted) throw new QueryError(`Expected ${wanted}, actual: ${token}`);
  };

  const readValue = (): unknown => {
    if (accept('$')) return given(next());
    const token = next();
    if (token.startsWith('"')) return token.slice(1, -1);
    if (/^\d+$/.test(token)) return Number(token);
    throw new QueryError(`Unexpected value: ${token}`);
  };
  const readValues = (): Selection['values'] => {
    const values: Record<string, unknown> = {};
    if (!accept('(')) return values;
    while (!accept(')')) {
      const name = next();
      expectToken(':');
      values[name] = readValue();
    }
    return values;
  };
  const readSelection = (): Selected => {
    if (accept('...')) {
      expectToken('on');
      return { onType: next(), inner: readSelections() };
    }
    const first = next();
    const name = accept(':') ? next() : first;
    return { alias: first, name, values: readValues(), inner: tokens[0] === '{' ? readSelections() : [] };
  };
  const readSelections = (): readonly Selected[] => {
    expectToken('{');
    const selections: Selected[] = [];
    while (!accept('}')) selections.push(readSelection());
    return selections;
  };
  // Variables' types are the caller's matter.
  const skipDeclarations = (): void => {
    if (accept('(')) while (!accept(')')) next();
  };

  expectToken('query');
  skipDeclarations();
  const selections = readSelections();
  if (tokens.length > 0) throw new QueryError(`Unexpected ${tokens[0]}`);
  return selections;
}

/** A field that is forbidden or not found is `null`, and told to `onError`; one that does not exist throws. */
export function select(node: Node, selected: readonly Selected[], onError: (error: QueryError, path: readonly string[]) => void): object {
  const selectAt = (from: Node, wanted: readonly Selected[], path: readonly string[]): object => {
    const result: Record<string, unknown> = {};
    for (const one of wanted) {
      if ('onType' in one) {
        if (one.onType === from.type) Object.assign(result, selectAt(from, one.inner, path));
        continue;
      }
      const field = from.fields[one.name];
      if (field === undefined) throw new QueryError(`Field '${one.name}' doesn't exist on type '${from.type}'`);
      result[one.alias] = valueOf(() => field(one.values), one.inner, [...path, one.alias]);
    }
    return result;
  };
  const valueOf = (read: () => unknown, inner: readonly Selected[], path: readonly string[]): unknown => {
    try {
      const value = read();
      if (Array.isArray(value))
        return (value as readonly (() => unknown)[]).map((each, index) => valueOf(each, inner, [...path, String(index)]));
      return isNode(value) ? selectAt(value, inner, path) : (value ?? null);
    } catch (error) {
      if (!(error instanceof QueryError) || error.type === null) throw error;
      onError(error, path);
      return null;
    }
  };
  return selectAt(node, selected, []);
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'fields' in value;
}
