const TRIGGERS: Readonly<Record<string, string>> = {
  schedule: 'by the schedule',
  check: 'by a health check',
  manual: 'by hand',
  webhook: 'by a webhook',
};

/** What started an operation and why, such as `by hand (runward:anna@laptop: new rack)`; a person's client alone is worth a word. */
export function triggerText(trigger: string, identity: string | null, reason: string | null): string {
  const aside = [trigger === 'manual' ? identity : null, reason].filter((part) => part !== null && part !== '').join(': ');
  return [TRIGGERS[trigger] ?? '', aside === '' ? '' : `(${aside})`].filter((part) => part !== '').join(' ');
}
