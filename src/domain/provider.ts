// What is known of Multipass when it does not answer.

/** Begins the reason of a reading that Multipass's daemon did not give in time. */
const HANGS = "Multipass's daemon hangs";

/** One guest is enough: the daemon has one thread for the calls of all instances, and waits on it for a guest without a limit. */
export function providerHangsReason(seconds: number): string {
  return `${HANGS} (no answer within ${seconds} s), most likely on a guest whose SSH is dead`;
}

/** Whether a reading could not be taken because Multipass's daemon hangs. */
export function isProviderHung(why: string): boolean {
  return why.includes(HANGS);
}

/** What a person does about it: Runward restarts no daemon, since that stops machines with jobs on them. */
export const RESTART_PROVIDER =
  "restart Multipass's daemon with `sudo snap restart multipass` (snap), `sudo launchctl kickstart -k system/com.canonical.multipassd` " +
  '(macOS) or `sudo systemctl restart multipassd` (systemd), once no job runs on its other instances: the restart stops or suspends them all';

/** What a person does about a machine that does not come up: its daemon may hang, or what it answers tells more. */
export function bringUpByHand(machine: string, why: string): string {
  return isProviderHung(why)
    ? withNextStep(why)
    : `${why}; look with \`multipass list --no-ipv4\`, and try \`multipass stop --force ${machine}\` and \`multipass start ${machine}\` by hand; ` +
        `if they do not answer, ${RESTART_PROVIDER}`;
}

/** What kept somebody from an answer, with what to do about it if that is known. */
export function withNextStep(why: string): string {
  return isProviderHung(why) && !why.includes(RESTART_PROVIDER) ? `${why}; ${RESTART_PROVIDER}` : why;
}
