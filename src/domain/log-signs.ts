import type { LogSign, ServiceLog } from './runner.ts';

/** Kinds of lines in the runner's journal. */
export const LOG_SIGN_CODES = [
  'registration-deleted',
  'session-conflict',
  'clock-skew',
  'not-configured',
  'version-retired',
  'connect-error',
  'work-folder-broken',
  'update-failed',
  'updating',
  'program-missing',
] as const;
export type LogSignCode = (typeof LOG_SIGN_CODES)[number];

const RECONNECTED = /Runner reconnected\./;

/** How a kind of line is recognised. Jobs write lines too, so that no pattern spans more than a part of one. */
interface LogSignature {
  readonly pattern: RegExp;
  /** A later line that says that it is over. */
  readonly endedBy?: RegExp;
  /** What it means, for a person. */
  readonly meaning: string;
  /** File of https://github.com/actions/runner (`src/` left out) that prints it. */
  readonly source: string;
}

export const LOG_SIGNATURES: Readonly<Record<LogSignCode, LogSignature>> = {
  'registration-deleted': {
    pattern: /registration has been deleted from the server|The runner no longer exists on the server/,
    meaning: 'GitHub does not know this registration any more',
    source: 'Runner.Listener/MessageListener.cs, BrokerMessageListener.cs, Runner.cs',
  },
  'session-conflict': {
    pattern: /A session for this runner already exists|Stop retry on SessionConflictException/,
    meaning: 'another listener holds the session of this registration, or one did until up to four minutes ago',
    source: 'Runner.Listener/MessageListener.cs, BrokerMessageListener.cs',
  },
  'clock-skew': {
    pattern: /clock may be out of sync with the server time|Current server time is|is not valid until|Stopped retrying OAuth token request/,
    endedBy: RECONNECTED,
    meaning: "GitHub refuses the runner's token since the guest's clock is wrong",
    source: 'Runner.Listener/MessageListener.cs, Configuration/ConfigurationManager.cs',
  },
  'not-configured': {
    pattern: /Not configured\. Run config\.|Runner is not configured/,
    meaning: 'the runner has no configuration',
    source: 'Runner.Listener/Configuration/ConfigurationManager.cs, Runner.cs',
  },
  // The words are the server's, so they are taken loosely.
  'version-retired': {
    pattern:
      /RunnerVersionTooOld|runner version .{0,300}\bdeprecated\b|An error occurred: (?=.{0,300}\bversion\b).{0,300}\b(?:deprecated|too old|no longer supported)\b/i,
    meaning: 'GitHub refuses this version of the runner',
    source: 'Sdk/WebApi/WebApi/BrokerHttpClient.cs, Runner.Listener/Program.cs',
  },
  'connect-error': {
    pattern: /Runner connect error: /,
    endedBy: RECONNECTED,
    meaning: 'the listener does not reach GitHub and goes on trying',
    source: 'Runner.Listener/MessageListener.cs, BrokerMessageListener.cs',
  },
  'work-folder-broken': {
    pattern: /Fail to create and validate runner's work directory/,
    meaning: "the runner's user can't write to the work folder",
    source: 'Runner.Listener/Runner.cs',
  },
  'update-failed': {
    pattern: /Runner update failed: /,
    meaning: 'the runner could not update itself and goes on with its old version',
    source: 'Runner.Listener/SelfUpdater.cs, SelfUpdaterV2.cs',
  },
  updating: {
    pattern: /Runner update in progress, do not shutdown runner|Runner will exit shortly for update/,
    endedBy: /Runner update failed: /,
    meaning: 'the runner updates itself and takes no jobs meanwhile',
    source: 'Runner.Listener/SelfUpdater.cs, SelfUpdaterV2.cs',
  },
  'program-missing': {
    pattern:
      /error spawn .{0,300} ENOENT|(?:\/node|runsvc\.sh|RunnerService\.js|Runner\.Listener)\b.{0,300}(?:No such file or directory|not found)/,
    meaning: "one of the runner's programs is gone, as a cut-off update leaves it",
    source: 'Misc/layoutbin/RunnerService.js, runsvc.sh',
  },
};

/** The listener is up; it counts its failures anew from here, too. */
const LISTENS = /(?:^|: )Listening for Jobs/;

/** What follows is a job's name, which anybody may choose. */
const NAMES_A_JOB = /^[^:]*:[^:]*:[^:]*: (?:Running job: |Job .* completed with result: )/;

const EXITED = /Runner listener exited with error code (-?\d+)/;
const RELAUNCHED = /re-launch runner in 5 seconds/;

const LINE_LENGTH = 160;
const SIGNS = 3;

/**
 * What the journal of the runner's service says since the start of it.
 * @param lines oldest first
 * @param startedAgoMs how long ago that start was
 */
export function readServiceLog(lines: readonly string[], startedAgoMs: number | null): ServiceLog {
  const ownWords = lines.filter((line) => !NAMES_A_JOB.test(line));
  const current = ownWords.slice(ownWords.findLastIndex((line) => LISTENS.test(line)) + 1);
  const lastExit = current.map((line) => EXITED.exec(line)).findLast((match) => match !== null);
  return {
    startedAgoMs,
    exitCode: lastExit === undefined ? null : Number(lastExit[1]),
    relaunches: current.filter((line) => RELAUNCHED.test(line)).length,
    signs: LOG_SIGN_CODES.flatMap((code) => newest(code, current))
      .toSorted((one, other) => other.at - one.at)
      .slice(0, SIGNS)
      .map(({ sign }) => sign),
  };
}

/** The newest line of this kind that is not over, and where it stands. */
function newest(code: LogSignCode, lines: readonly string[]): readonly { readonly at: number; readonly sign: LogSign }[] {
  const { pattern, endedBy } = LOG_SIGNATURES[code];
  const at = lines.findLastIndex((line) => pattern.test(line));
  const line = lines[at];
  if (line === undefined || (endedBy !== undefined && lines.slice(at).some((later) => endedBy.test(later)))) {
    return [];
  }
  return [{ at, sign: { code, line: line.trim().slice(0, LINE_LENGTH) } }];
}
