import type { HostObservation } from '../../domain/pass.ts';
import type { HostPort } from '../../machine/port.ts';

const A_DAY_MS = 86_400_000;

/** A computer whose clock is right, that booted a day ago, never slept, and has no other healer; a test says what is otherwise. */
export class SandboxHost implements HostPort {
  otherwise: Partial<HostObservation> = {};

  async observe(): Promise<HostObservation> {
    const observedAt = Date.now();
    return {
      observedAt,
      githubOffsetMs: { known: true, value: 0 },
      bootedAt: observedAt - A_DAY_MS,
      wokeAt: null,
      utcOffsetMinutes: 0,
      oldCronJob: { known: true, value: null },
      ...this.otherwise,
    };
  }
}
