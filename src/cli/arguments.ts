/** Flags of the shell script `health_check.sh`, which keep working, and the verbs that do the same: the script ran from cron, and asked nobody. */
const LEGACY_FLAGS: Readonly<Record<string, readonly string[]>> = {
  '--status': ['status'],
  '--recover': ['recover'],
  '--cancel-stale': ['queue', 'cancel-stale', '--yes'],
  '--cancel-superseded': ['queue', 'cancel-superseded', '--yes'],
  '--prioritize-prs': ['queue', 'prioritize-prs', '--yes'],
  '--optimize-queue': ['queue', 'optimize', '--yes'],
  '--clean-cache': ['cache', 'clean'],
  '--clear-cache': ['cache', 'clear', '--yes'],
  '--heal-cache': ['cache', 'heal'],
  '--install-cron': ['schedule', 'apply'],
};

const BARE = 'Showing `runward status`: `runward check` checks and repairs, `runward --help` lists all verbs.';

export type Translation =
  /** `say` is a sentence for standard error, or `null`. */
  | { readonly kind: 'arguments'; readonly arguments: readonly string[]; readonly say: string | null }
  | { readonly kind: 'mistake'; readonly message: string };

/** Flags of the command itself. */
const OWN_FLAGS: readonly string[] = ['-h', '--help', '-v', '--version'];

/**
 * Turns what was typed into a verb and its words. The script's flags keep their meaning, if no verb stands first, and only one counts: the
 * script read the first and ignored the rest. Without a verb `check` is meant, as by the script; on a terminal a bare `runward` shows the status.
 * @param given what follows `runward` on the command line
 */
export function translateArguments(given: readonly string[], { isTerminal }: { readonly isTerminal: boolean }): Translation {
  const [first] = given;
  if (first === undefined) {
    return isTerminal ? { kind: 'arguments', arguments: ['status'], say: BARE } : { kind: 'arguments', arguments: ['check'], say: null };
  }
  if (first === 'version') {
    return { kind: 'arguments', arguments: ['--version', ...given.slice(1)], say: null };
  }
  if (first === 'help') {
    return { kind: 'arguments', arguments: [...given.slice(1), '--help'], say: null };
  }
  if (!first.startsWith('-') || OWN_FLAGS.includes(first)) {
    return { kind: 'arguments', arguments: given, say: null };
  }
  const flags = [...new Set(given.filter((argument) => Object.hasOwn(LEGACY_FLAGS, argument)))];
  const [flag] = flags;
  if (flag === undefined) {
    return { kind: 'arguments', arguments: ['check', ...given], say: null };
  }
  if (flags.length > 1) {
    const commands = flags.map((each) => `runward ${verbOf(each).join(' ')}`).join('; ');
    return { kind: 'mistake', message: `${flags.join(' and ')} are separate commands; run them one after the other: ${commands}` };
  }
  return {
    kind: 'arguments',
    arguments: [...verbOf(flag), ...given.filter((argument) => argument !== flag)],
    say:
      flag === '--install-cron'
        ? 'No cron job is installed: --install-cron is now `runward schedule apply`, and Temporal keeps the time.'
        : null,
  };
}

function verbOf(flag: string): readonly string[] {
  return LEGACY_FLAGS[flag] ?? [];
}
