/** Ways to break a runner; each leaves it offline. */
export const BREAKS = ['service', 'registration', 'clock', 'vm', 'config', 'listener'] as const;
export type Break = (typeof BREAKS)[number];
