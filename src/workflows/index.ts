export { checkHealth } from './check-health.ts';
export { drainRunner } from './drain-runner.ts';
export { finding } from './finding.ts';
export { holdMachine } from './machine-lock.ts';
export { machineLedger } from './machine-ledger.ts';
export { recoverRunner } from './recover-runner.ts';
export { resumeRunner } from './resume-runner.ts';
export { syncClock } from './sync-clock.ts';
