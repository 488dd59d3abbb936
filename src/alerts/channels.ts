import type { AlertChannel } from './port.ts';
import { createWebhook } from './webhook.ts';

/** Where people are told: the section `alerts` of the configuration, checked. */
export interface AlertSettings {
  readonly webhook: { readonly url: string; readonly secretFile: string } | null;
}

/** The channels that are configured, maybe none; each is tried for itself. */
export function createChannels({ webhook }: AlertSettings): readonly AlertChannel[] {
  return webhook === null ? [] : [createWebhook(webhook)];
}
