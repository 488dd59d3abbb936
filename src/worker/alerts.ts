import type { Alerts } from '../activities/findings.ts';
import { createChannels } from '../alerts/channels.ts';
import type { Config } from '../config/config.ts';
import { DEFAULT_FINDING_POLICY } from '../domain/policy.ts';
import { executionLink, type TemporalAddress } from './temporal-address.ts';

/** What the worker tells people by. */
export function createAlerts({ alerts, runners }: Config, { uiUrl, namespace }: Pick<TemporalAddress, 'uiUrl' | 'namespace'>): Alerts {
  return {
    channels: createChannels(alerts),
    policy: DEFAULT_FINDING_POLICY,
    hostOf: (scope, runner) => runners.find((target) => target.scope === scope && target.runner === runner)?.host ?? null,
    linkTo: (execution) => (uiUrl === null ? null : executionLink(uiUrl, namespace, execution)),
  };
}
