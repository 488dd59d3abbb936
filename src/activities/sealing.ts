import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import type { RunnerTarget } from '../domain/runner.ts';
import { Secret } from '../domain/secret.ts';
import type { SealedToken } from './contract.ts';

/** Length of the sealing key in bytes (AES-256). */
export const SEALING_KEY_BYTES = 32;

const TAG_BYTES = 16;

/** Seals registration tokens so that histories may carry them (AES-256-GCM, NIST SP 800-38D). */
export interface Sealing {
  /** `boundTo` is authenticated with the token: a token opens only for what it was sealed for ({@link tokenBinding}). */
  seal(token: Secret, boundTo: string): SealedToken;
  /** Throws {@link SealingError} for another key, another binding, or a changed token. */
  open(token: SealedToken, boundTo: string): Secret;
}

export class SealingError extends Error {
  override readonly name = 'SealingError';
}

export function createSealing(key: Buffer): Sealing {
  const keyId = createHash('sha256').update('runward sealing key id').update(key).digest('hex').slice(0, 12);
  return {
    seal(token, boundTo) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(boundTo));
      const sealed = Buffer.concat([cipher.update(token.reveal(), 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return { keyId, nonce: nonce.toString('base64'), sealed: sealed.toString('base64') };
    },
    open(token, boundTo) {
      if (token.keyId !== keyId) {
        throw new SealingError(
          `the registration token is sealed with key ${token.keyId}, but this worker has key ${keyId}: give all hosts the same RUNWARD_SEALING_KEY_FILE`,
        );
      }
      const sealed = Buffer.from(token.sealed, 'base64');
      const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(token.nonce, 'base64')).setAAD(Buffer.from(boundTo));
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      try {
        return new Secret(Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8'));
      } catch (cause) {
        throw new SealingError(`the registration token was not sealed for ${boundTo}`, { cause });
      }
    },
  };
}

/** What a token is sealed to: the operation that it is for, where that runs, as whom, and what it registers at. */
export function tokenBinding(
  workflowId: string | undefined,
  { host, machine, directory, user, registrationUrl }: Pick<RunnerTarget, 'host' | 'machine' | 'directory' | 'user' | 'registrationUrl'>,
): string {
  return JSON.stringify([workflowId ?? '', host, machine, directory, user, registrationUrl]);
}
