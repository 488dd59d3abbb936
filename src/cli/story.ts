/** What happened to one thing, in eight lines for a tired person; `null` leaves a line out. */
export interface Story {
  /** One sentence: how it ended, or stands. */
  readonly headline: string;
  readonly broke: string | null;
  readonly sure: string | null;
  readonly did: string | null;
  readonly cameOfIt: string | null;
  readonly left: string | null;
  readonly when: string | null;
  /** How to see all of it. */
  readonly more: string | null;
}

const LINES = [
  ['broke', 'What broke'],
  ['sure', 'Evidence'],
  ['did', 'Action'],
  ['cameOfIt', 'Result'],
  ['left', 'Next steps'],
  ['when', 'When'],
  ['more', 'More'],
] as const satisfies readonly (readonly [keyof Story, string])[];

/** Longest text of a line; `--verbose` shows the rest. */
const LINE_LENGTH = 240;

export function storyLines(story: Story): string[] {
  const rows = LINES.flatMap(([key, name]) => {
    const text = story[key];
    return text === null || text === '' ? [] : [`${name.padEnd(10)}  ${key === 'more' ? text : cut(text)}`];
  });
  return [story.headline, ...rows];
}

/** A title over what belongs to it; nothing where that is nothing. */
export function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
}

function cut(text: string): string {
  const line = text.replaceAll(/\s*\n\s*/g, ' ');
  return line.length > LINE_LENGTH ? `${line.slice(0, LINE_LENGTH - 1)}…` : line;
}
