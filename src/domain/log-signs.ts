/** Kinds of lines in the runner's journal. */
export const LOG_SIGN_CODES = [
  'registration-deleted',
  'session-conflict',
  'clock-skew',
  'not-configured',
  'version-retired',
  'connect-error',
  'work-folder-broken',
  'update-failed',
  'updating',
  'program-missing',
] as const;
export type LogSignCode = (typeof LOG_SIGN_CODES)[number];
