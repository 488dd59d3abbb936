/** Any program may need these, and none of them holds a secret. */
const COMMON = /^(PATH|HOME|USER|LOGNAME|TMPDIR|TZ|LANG|LANGUAGE|LC_\w+)$/;

const NETWORK = 'https?_proxy|all_proxy|no_proxy|SSL_CERT_FILE|SSL_CERT_DIR';

/** What a program needs beyond that. */
const NEEDS = {
  /** Temporal's server, `crontab`, `ps`. */
  nothing: /^$/,
  /** As a snap it needs its session. */
  multipass: /^(XDG_\w+|SNAP\w*|DBUS_SESSION_BUS_ADDRESS|MULTIPASS_\w+)$/,
  /** It keeps its login in a file, or in the session's keyring. */
  gh: new RegExp(`^(XDG_\\w+|DBUS_SESSION_BUS_ADDRESS|GH_CONFIG_DIR|${NETWORK})$`, 'i'),
  /** Temporal's own command on a terminal. */
  temporal: new RegExp(`^(TEMPORAL_\\w+|XDG_\\w+|TERM|COLORTERM|NO_COLOR|EDITOR|VISUAL|PAGER|${NETWORK})$`, 'i'),
} as const;

/** The environment of a program that Runward starts: what it needs, and so no token. */
export function childEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  program: keyof typeof NEEDS = 'nothing',
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && (COMMON.test(entry[0]) || NEEDS[program].test(entry[0])),
    ),
  );
}
