export { finding } from './finding.ts';
export { holdMachine } from './machine-lock.ts';
export { machineLedger } from './machine-ledger.ts';
export { recoverRunner } from './recover-runner.ts';
