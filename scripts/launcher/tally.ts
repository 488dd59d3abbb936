/** Numbers of the closing line. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const NOTHING: Tally = { passed: 0, failed: 0, skipped: 0 };
export const ONE_PASSED: Tally = { passed: 1, failed: 0, skipped: 0 };
export const ONE_FAILED: Tally = { passed: 0, failed: 1, skipped: 0 };
export const ONE_SKIPPED: Tally = { passed: 0, failed: 0, skipped: 1 };

/** The part of vitest's JSON report (Jest's form) that is counted. */
export interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    /** Why the file itself could not be run; empty if it could. */
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** A failed assertion may quote pages; its whole text stands above. */
const MESSAGE_MAX_CHARS = 300;

/** Counts one run of vitest. A file that could not be loaded counts as one failure, and so does whatever else made vitest end badly. */
export function tallyOf(report: VitestReport | null, exitCode: number): Tally {
  if (report === null) return ONE_FAILED;
  const unloaded = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length;
  const failed = report.numFailedTests + unloaded;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** A line for each test and each file that failed: the file, its test, and the beginning of what it said. */
export function failuresIn({ testResults }: VitestReport): readonly string[] {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults
      .filter((assertion) => assertion.status === 'failed')
      .map(({ fullName, failureMessages }) => `${name}: ${fullName}: ${beginning(failureMessages[0] ?? '')}`);
    return status === 'failed' && failed.length === 0 ? [`${name}: ${beginning(message)}`] : failed;
  });
}

function beginning(message: string): string {
  return message.split('\n', 1)[0]?.slice(0, MESSAGE_MAX_CHARS) ?? '';
}

export function sum(tallies: readonly Tally[]): Tally {
  return tallies.reduce(
    (total, next) => ({ passed: total.passed + next.passed, failed: total.failed + next.failed, skipped: total.skipped + next.skipped }),
    NOTHING,
  );
}

/** `3 passed, 0 failed, 1 skipped` */
export function describe(tally: Tally): string {
  return `${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`;
}
