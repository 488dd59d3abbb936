// The commands that README tells people to type.

/** Node versions that README is tried with. */
export type NodeVersion = 20 | 26;

export interface ReadmeCommand {
  /** As it is written, comments and all. */
  readonly text: string;
  /** Why it is not run, and with which Node; `null`: it is run. */
  readonly notRun: { readonly reason: string; readonly node: NodeVersion | 'any' } | null;
}

const BLOCK = /(?:<!-- not run(?: on Node (20|26))?: ([^]*?) -->\n\n)?```(\w*)\n([^]*?)```/g;

/**
 * Commands of the `sh` blocks, in their order; a block without a language is what one prints. A comment `<!-- not run: REASON -->` right before a block, or `<!-- not run on Node 20: REASON -->`,
 * leaves its commands out.
 */
export function commandsOf(markdown: string): readonly ReadmeCommand[] {
  const marks = markdown.match(/<!-- not run/g)?.length ?? 0;
  const blocks = [...markdown.matchAll(BLOCK)].map(([, node, reason, language, content = '']) => ({ node, reason, language, content }));
  if (blocks.filter(({ reason }) => reason !== undefined).length !== marks) {
    throw new Error('A mark `<!-- not run: REASON -->` must be followed by an empty line and a block.');
  }
  const shells = blocks.filter(({ language }) => /^(sh|bash|zsh|shell|console)$/.test(language ?? ''));
  return shells.flatMap(({ node, reason, content }) =>
    content
      .replaceAll('\\\n', ' ')
      .split('\n')
      .filter((line) => line.trim() !== '' && !line.startsWith('#'))
      .map((text) => ({
        text,
        notRun: reason === undefined ? null : { reason, node: node === undefined ? ('any' as const) : (Number(node) as NodeVersion) },
      })),
  );
}

/** What a reader sees of a command in a list. */
export function titleOf({ text }: ReadmeCommand): string {
  return text.replace(/\s+#.*$/, '');
}
