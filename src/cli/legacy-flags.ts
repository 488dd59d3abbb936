/** Flags of the shell script `health_check.sh`, which keep working, and the verbs that do the same: the script ran from cron, and asked nobody. */
const LEGACY_FLAGS: Readonly<Record<string, readonly string[]>> = {
  '--status': ['status'],
  '--recover': ['recover'],
  '--cancel-stale': ['queue', 'cancel-stale', '--yes'],
  '--cancel-superseded': ['queue', 'cancel-superseded', '--yes'],
  '--prioritize-prs': ['queue', 'prioritize-prs', '--yes'],
  '--optimize-queue': ['queue', 'optimize', '--yes'],
  '--clean-cache': ['cache', 'clean'],
  '--clear-cache': ['cache', 'clear'],
  '--heal-cache': ['cache', 'heal'],
  '--install-cron': ['schedule', 'apply'],
};

export type Translation =
  /** `say` is a sentence for standard error, or `null`. */
  | { readonly kind: 'arguments'; readonly arguments: readonly string[]; readonly say: string | null }
  | { readonly kind: 'mistake'; readonly message: string };

/**
 * Turns the script's flags into a verb and leaves all else as it is; no argument at all is `check`, as it was for the script.
 * A flag counts only where no verb stands first, and only one: the script read the first and ignored the rest.
 * @param given what follows `runward` on the command line
 */
export function translateLegacyFlags(given: readonly string[]): Translation {
  const [first] = given;
  if (first === undefined) {
    return { kind: 'arguments', arguments: ['check'], say: null };
  }
  const flags = first.startsWith('-') ? [...new Set(given.filter((argument) => Object.hasOwn(LEGACY_FLAGS, argument)))] : [];
  const [flag] = flags;
  if (flag === undefined) {
    return { kind: 'arguments', arguments: given, say: null };
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
