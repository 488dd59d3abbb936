// Whether a job failed because of its runner's own actions cache, as its annotations and its log tell.

/** The runner's own words that something below its actions cache is missing, broken or out of reach. */
export interface CacheSign {
  /** Below the cache, such as `actions/checkout/v4`; empty where the words name no entry. */
  readonly path: string;
  /** The words, short. */
  readonly line: string;
}

/** What a runner did not find of an action: a file of one of these names in this folder. */
export interface ActionPart {
  /** Such as `actions/cache`. */
  readonly repository: string;
  readonly ref: string;
  /** Below the repository; empty for its root. */
  readonly folder: string;
  readonly names: readonly string[];
}

/**
 * What annotations tell. `unclear`: whether it was the cache is to be read in the log.
 */
export type AnnotationsVerdict =
  | { readonly kind: 'damaged'; readonly sign: CacheSign }
  | { readonly kind: 'other' }
  | { readonly kind: 'unclear'; readonly why: string };

/** Reads a log line by line. */
export interface LogReader {
  /** `enough`: the verdict stands. Lines come without time stamps. */
  readonly onLine: (line: string) => 'more' | 'enough';
  /** At the end of the log, or of what was read of it. */
  readonly verdict: () => CacheSign | null;
}

/** The actions cache of a runner in this directory. https://github.com/actions/runner/blob/main/src/Runner.Common/HostContext.cs */
function actionsCacheOf(directory: string): string {
  return `${directory.replace(/\/+$/, '')}/_work/_actions`;
}

/**
 * What the runner says when it can't read an action that it has downloaded. Sources, all of actions/runner and of .NET:
 * src/Runner.Worker/ActionManager.cs (LoadAction, DownloadRepositoryActionAsync), src/Runner.Sdk/Util/ArgUtil.cs (File), and
 * System.Private.CoreLib's strings `UnauthorizedAccess_IODenied_Path`, `IO_FileNotFound_FileName` and `IO_PathNotFound_Path`.
 */
const WORDS: readonly RegExp[] = [
  /^Can't find 'action\.yml'[^']*(?:'[^']+'[^']*)*? under '(?<path>[^']+)'/,
  /^Can't use 'tar -xzf' extract archive file: (?<path>\/.*?) ?\((?:SHA256|file)/,
  /^Can't use 'tar -xzf' extract archive file: (?<path>\/\S+)\. return code/,
  /^'(?<path>[^']+)' contains '\d+' directories/,
  /^File not found: '(?<path>[^']+)'/,
  /^Access to the path '(?<path>[^']+)' is denied/,
  /^Could not find file '(?<path>[^']+)'/,
  /^Could not find a part of the path '(?<path>[^']+)'/,
];

/** An archive lies in a folder of its own; the words name the action behind it. */
const CHECKED_OUT = /Action being checked out: (?<name>[^@\s]+)@(?<ref>\S+?)\.? (?:return code|error)/i;

/** Evidence travels in histories. */
const LINE_LENGTH = 200;

/**
 * The sign in a message of the runner's, where it is about the actions cache of the runner in `directory`; a path in the workspace is an
 * author's own mistake.
 */
export function signIn(message: string, directory: string): CacheSign | null {
  const text = message.trim().replace(/^Error: /, '');
  const path = WORDS.map((words) => words.exec(text)?.groups?.['path']).find((found) => found !== undefined);
  const cache = `${actionsCacheOf(directory)}/`;
  if (path === undefined || !`${path}/`.startsWith(cache)) {
    return null;
  }
  const below = straightened(path.slice(cache.length));
  const archived = CHECKED_OUT.exec(text)?.groups;
  const entry = archived === undefined ? below : `${archived['name']}/${archived['ref']}`;
  return { path: isEntry(entry) ? entry : '', line: text.split('\n', 1).join('').slice(0, LINE_LENGTH) };
}

/** The runner puts `main: ./dist/index.js` behind the action's folder as it is. Empty where it leads out. */
function straightened(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..' && parts.pop() === undefined) {
      return '';
    }
    if (part !== '..' && part !== '.' && part !== '') {
      parts.push(part);
    }
  }
  return parts.join('/');
}

/** Names of an action's manifest. https://github.com/actions/runner/blob/main/src/Runner.Worker/ActionManager.cs */
const MANIFESTS = ['action.yml', 'action.yaml', 'Dockerfile', 'dockerfile'];
const NO_MANIFEST = /^Can't find 'action\.yml'/;
const NO_FILE = /^(?:File not found: |Could not find (?:file|a part of the path) )'/;

/** Deeper ones are no folders of an action, and each may cost a request. */
const DEEPEST = 10;

/**
 * What the action itself may lack, by its author's mistake and not by the cache's damage; `null` where the words are about something else.
 * Where a ref has slashes, its first part is taken for it.
 */
export function missingPart({ path, line }: CacheSign): ActionPart | null {
  const [owner, name, ref, ...rest] = path.split('/');
  if (ref === undefined || rest.length > DEEPEST) {
    return null;
  }
  const action = { repository: `${owner}/${name}`, ref };
  if (NO_MANIFEST.test(line)) {
    return { ...action, folder: rest.join('/'), names: MANIFESTS };
  }
  const file = rest.at(-1);
  return NO_FILE.test(line) && file !== undefined ? { ...action, folder: rest.slice(0, -1).join('/'), names: [file] } : null;
}

/** Whether it may be the path of an entry: what a download leaves for a moment, and what leads out, is none. */
function isEntry(path: string): boolean {
  const parts = path.split('/');
  return parts.length >= 3 && !path.startsWith('_temp_') && !parts.some((part) => part === '..' || part === '.' || part === '');
}

/** How a script's failure reads: whatever stands before it in the same step may be its output. */
const SCRIPT_FAILED = /^Process completed with exit code \d+/;

/** GitHub keeps so many annotations of one step, and no more. https://github.com/orgs/community/discussions/26680 */
const KEPT_OF_A_STEP = 10;

/** @param messages the failure annotations of a job, in their order */
export function judgeAnnotations(messages: readonly string[], directory: string): AnnotationsVerdict {
  const sign = messages.map((message) => signIn(message, directory)).find((found) => found !== null);
  if (sign == null) {
    if (messages.length === 0) {
      return { kind: 'unclear', why: 'it failed without an annotation' };
    }
    return messages.length >= KEPT_OF_A_STEP ? { kind: 'unclear', why: 'there are more annotations than GitHub keeps' } : { kind: 'other' };
  }
  return messages.some((message) => SCRIPT_FAILED.test(message.trim()))
    ? { kind: 'unclear', why: 'a script may have said so' }
    : { kind: 'damaged', sign };
}

const ERROR_PREFIX = '##[error]';

/** Where another step begins, or the job ends. */
const BOUNDARY = /^(?:##\[group\]Run |Post job cleanup\.|Cleaning up orphan processes)/;

/** Finds the sign wherever it stands. What a script has printed in the runner's form, and failed, is no sign. */
export function createLogReader(directory: string): LogReader {
  let sign: CacheSign | null = null;
  return {
    onLine(line) {
      if (sign !== null && BOUNDARY.test(line)) {
        return 'enough';
      }
      if (!line.startsWith(ERROR_PREFIX)) {
        return 'more';
      }
      const message = line.slice(ERROR_PREFIX.length);
      if (SCRIPT_FAILED.test(message)) {
        sign = null;
      } else {
        sign ??= signIn(message, directory);
      }
      return 'more';
    },
    verdict: () => sign,
  };
}
