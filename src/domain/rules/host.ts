import { isProviderHung, RESTART_PROVIDER } from '../provider.ts';
import { describeOffset } from '../recovery.ts';
import { hostOffsetOf, isSilentTwice, shortened, spanOf, type Situation } from '../situation.ts';
import type { Rule } from './rule.ts';

// The computer that owns machines: what is wrong with it is said once, not for each of its runners.

/** A host by its runners, one at least. */
export type HostSituation = readonly [Situation, ...Situation[]];

export function hostSubject(host: string): string {
  return `host/${host}`;
}

function hostOf([{ target }]: HostSituation): string {
  return target.host;
}

/** No machine of several could be asked: then it is not the machines. */
export function isProviderSilent(runners: HostSituation): boolean {
  return (
    runners[0].host.known && new Set(runners.map(({ target }) => target.machine)).size > 1 && runners.every(({ machine }) => !machine.known)
  );
}

export const HOST_RULES: readonly Rule<HostSituation>[] = [
  {
    code: 'host-silent',
    severity: (runners) => (runners.every(({ standing }) => standing === 'online') ? 'warning' : 'critical'),
    when: ([{ host }]) => (host.known ? null : shortened(host.why)),
    summary: (runners) => `host ${hostOf(runners)} is silent: nothing is known of its machines`,
    advice: (runners) => `look whether \`runward worker --host ${hostOf(runners)}\` runs there; nothing is changed until then`,
  },
  {
    code: 'provider-silent',
    severity: (runners) => (runners.every(({ standing }) => standing === 'online') ? 'warning' : 'critical'),
    when: (runners) => {
      const [{ machine }] = runners;
      return isProviderSilent(runners) && !machine.known ? shortened(machine.why) : null;
    },
    summary: (runners) => `no machine of host ${hostOf(runners)} could be asked`,
    advice: ([{ machine }]) =>
      !machine.known && isProviderHung(machine.why)
        ? RESTART_PROVIDER
        : 'look whether `multipass list --no-ipv4` answers there, and restart its daemon if not; nothing is changed until then',
    isProven: (runners) => runners.every(isSilentTwice),
  },
  {
    code: 'just-woke',
    severity: 'info',
    when: ([{ host, isJustWoke }]) => (isJustWoke && host.known ? `${spanOf(host.value.observedAt - (host.value.wokeAt ?? 0))} ago` : null),
    summary: (runners) => `host ${hostOf(runners)} woke a moment ago: what looks bad is not believed yet`,
    advice: () => 'nothing: the next check looks again',
    // Sleep is neither an outage nor an alert.
    isProven: () => false,
  },
  {
    code: 'host-clock-wrong',
    severity: 'critical',
    when: ([{ host, policy }]) => (hostOffsetOf(host, policy) === null ? null : "host compared with GitHub's Date"),
    summary: ([{ host, policy, target }]) => `the clock of host ${target.host} is ${describeOffset(hostOffsetOf(host, policy) ?? 0)}`,
    advice: () => 'set it, and switch its time synchronization on',
    isRead: ([{ host }]) => host.known && host.value.githubOffsetMs.known,
  },
  {
    code: 'old-cron-job',
    severity: 'warning',
    when: ([{ host }]) =>
      host.known && host.value.oldCronJob.known && host.value.oldCronJob.value !== null
        ? shortened(host.value.oldCronJob.value, 120)
        : null,
    summary: (runners) => `cron still runs the old health check on host ${hostOf(runners)}, which stops runners at work`,
    advice: () => 'remove the line with `crontab -e`',
    isRead: ([{ host }]) => host.known && host.value.oldCronJob.known,
  },
];
