// Packages of the runner on the computer that owns the machines: for guests that have no way to where they are.

import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { bytesText } from '../domain/room.ts';
import { type PackageOffer, packageNamed } from '../domain/package.ts';
import { type Archive, type CallContext, PackageError, type PackagePort } from './port.ts';

export interface HostPackagesOptions {
  /** Where downloads are kept; made if it is not there. */
  readonly folder: string;
  /** The archive that configuration names instead of downloads. */
  readonly file?: string | null;
  /** Origin of an address that may be http besides this computer's own: that of GitHub's web pages. */
  readonly trustedOrigin?: string;
  readonly fetch?: typeof globalThis.fetch;
}

/** A package is some 200 MiB. */
const MOST_BYTES = 1024 ** 3;
/** Of the whole download, and until the first answer. */
const DOWNLOAD_MS = 20 * 60_000;
const MAX_REDIRECTS = 5;
const TRIES = 3;
const LOOPBACK = /^http:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/;

export function openHostPackages({ folder, file = null, trustedOrigin, fetch = globalThis.fetch }: HostPackagesOptions): PackagePort {
  const isAllowed = (address: string): boolean => {
    const { protocol, origin } = new URL(address);
    return protocol === 'https:' || origin === trustedOrigin || LOOPBACK.test(origin);
  };

  /** Each redirect is held to the same rule. */
  const ask = async (address: string, signal: AbortSignal): Promise<Response> => {
    let url = address;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
      if (!isAllowed(url)) throw new PackageError(`${new URL(url).origin} is no https address`);
      const response = await fetch(url, { redirect: 'manual', signal });
      const location = response.headers.get('location');
      if (response.status < 300 || response.status >= 400 || location === null) return response;
      await response.body?.cancel();
      url = new URL(location, url).href;
    }
    throw new PackageError(`${address} leads on more than ${MAX_REDIRECTS} times`);
  };

  const download = async (
    { address, filename, sha256 }: PackageOffer & { readonly address: string },
    call: CallContext,
  ): Promise<string> => {
    const response = await ask(address, AbortSignal.any([call.signal, AbortSignal.timeout(DOWNLOAD_MS)]));
    if (!response.ok || response.body === null) throw new PackageError(`${address} answered ${response.status}`);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const draft = join(folder, `${filename}.${randomUUID()}.new`);
    const sum = createHash('sha256');
    let bytes = 0;
    const count = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        bytes += chunk.length;
        sum.update(chunk);
        call.heartbeat(`this host downloads ${filename}: ${bytesText(bytes)}`);
        done(bytes > MOST_BYTES ? new PackageError(`${address} is larger than ${bytesText(MOST_BYTES)}`) : null, chunk);
      },
    });
    try {
      await pipeline(Readable.fromWeb(response.body), count, createWriteStream(draft, { mode: 0o600 }), { signal: call.signal });
      const counted = sum.digest('hex');
      if (counted !== sha256) throw new PackageError(`${address} has the SHA-256 ${counted}, and must have ${sha256}`);
      const path = join(folder, filename);
      await rename(draft, path);
      await dropOthers(filename);
      return path;
    } finally {
      await rm(draft, { force: true });
    }
  };

  /** One of each architecture is kept. */
  const dropOthers = async (filename: string): Promise<void> => {
    const architecture = packageNamed(filename)?.architecture;
    for (const name of await readdir(folder)) {
      if (name !== filename && packageNamed(name)?.architecture === architecture) await rm(join(folder, name), { force: true });
    }
  };

  const have = async (offer: PackageOffer, call: CallContext): Promise<Archive> => {
    const { address, filename, sha256 } = offer;
    const path = address === null && file !== null ? file : join(folder, filename);
    const counted = await sha256Of(path, call);
    if (counted === sha256) return { path, bytes: (await stat(path)).size };
    if (address === null) {
      throw new PackageError(
        counted === null ? `there is no file ${path} on this host` : `${path} has the SHA-256 ${counted}, and must have ${sha256}`,
      );
    }
    for (let tries = 1; ; tries += 1) {
      try {
        const downloaded = await download({ ...offer, address }, call);
        return { path: downloaded, bytes: (await stat(downloaded)).size };
      } catch (error) {
        // What was answered is an answer; a connection that broke off is none.
        if (error instanceof PackageError || call.signal.aborted || tries === TRIES) throw error;
      }
    }
  };

  /** Two guests that need the same one at once wait for one download. */
  const underWay = new Map<string, Promise<unknown>>();
  return {
    async archiveOf(offer, call) {
      // A file name in another form could lead out of the folder.
      if (packageNamed(offer.filename) === null) throw new PackageError(`${offer.filename} is no name of a package`);
      const before = underWay.get(offer.filename);
      const mine = (async () => {
        await before?.catch(() => {});
        call.signal.throwIfAborted();
        return withReasons(() => have(offer, call), call.signal);
      })();
      underWay.set(offer.filename, mine);
      const telling = setInterval(() => call.heartbeat(`this host gets ${offer.filename}`), HEARTBEAT_MS);
      try {
        return await mine;
      } finally {
        clearInterval(telling);
        if (underWay.get(offer.filename) === mine) underWay.delete(offer.filename);
      }
    },
  };
}

const HEARTBEAT_MS = 5_000;

/** `null` if there is no such file. */
async function sha256Of(path: string, { signal }: CallContext): Promise<string | null> {
  const sum = createHash('sha256');
  try {
    await pipeline(createReadStream(path), sum, { signal });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  return sum.digest('hex');
}

/** `fetch` hides the reason in the cause. */
async function withReasons<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof PackageError) throw error;
    const { message, cause } = error as Error;
    throw new PackageError(cause instanceof Error ? `${message}: ${cause.message}` : message);
  }
}
