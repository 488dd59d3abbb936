import { ApplicationFailure } from '@temporalio/common';
import { workflowInfo } from '@temporalio/workflow';

// Workflows of the public interface that this version does not have: without them a start would be tried for ever.

async function notYet(): Promise<never> {
  throw ApplicationFailure.nonRetryable(`${workflowInfo().workflowType} is planned, but not in this version of Runward`, 'NotYet');
}

export { notYet as provisionRunner, notYet as registerRunner, notYet as upgradeRunner, notYet as retireRunner };
