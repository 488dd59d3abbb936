import type { Absence, GuestObservation, RegisteredRunner, RunnerTarget } from './runner.ts';

/**
 * Why a runner that GitHub does not list may be registered all the same; `null` if it is proven not to be, or is listed. Proof is GitHub's word
 * that nobody has its last id, or, where no such id is known, a guest in which nothing lives that could use a registration.
 * @param guest `null` where it could not be asked; `none` where its machine does not run
 */
export function unprovenAbsence(
  { runner, absence = { kind: 'unlisted' } }: { readonly runner: RegisteredRunner | null; readonly absence?: Absence | undefined },
  { runner: name }: Pick<RunnerTarget, 'runner'>,
  guest: GuestObservation | 'none' | null,
): string | null {
  if (runner !== null) {
    return null;
  }
  if (absence.kind === 'unknown') {
    return `GitHub's list lacks ${name}, and whether it is gone is unknown: ${absence.why}`;
  }
  if (guest === 'none' || (guest === null && absence.kind === 'gone')) {
    return null;
  }
  if (guest === null) {
    return `GitHub's list lacks ${name}, and its guest could not be asked`;
  }
  if (guest.listeners + (guest.strays?.listeners ?? 0) === 0) {
    return null;
  }
  // A job can take the runner's own note of its id away.
  const usedId = guest.registration?.agentId ?? null;
  return absence.kind === 'gone' && absence.id === usedId
    ? null
    : `GitHub's list lacks ${name}, but its listener works under ${usedId === null ? 'an id that is not known' : `id ${usedId}`}: lists lag`;
}
