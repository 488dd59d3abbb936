// Saves the history of an execution for the replay tests: `npm run history:save -- WORKFLOW_ID NAME`, against TEMPORAL_ADDRESS or a running `up`.
// Save one whenever a workflow changes its shape; names are <workflow>-<case>-<date>.

import { writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { findHome } from '../src/config/paths.ts';
import { findTemporal } from '../src/worker/temporal-address.ts';

const [workflowId, name] = process.argv.slice(2);
if (workflowId === undefined || name === undefined || !/^[a-z0-9-]+$/i.test(name)) {
  console.error('usage: npm run history:save -- WORKFLOW_ID NAME (such as recoverRunner-service-2026-11-24)');
  process.exit(2);
}
const home = findHome({ env: process.env, cwd: process.cwd(), platform: process.platform, homedir: homedir() });
const { connectionOptions, namespace } = findTemporal(process.env, home);
const connection = await Connection.connect(connectionOptions);
const history = await new Client({ connection, namespace }).workflow.getHandle(workflowId).fetchHistory();
await connection.close();
const file = fileURLToPath(new URL(`../test/replay/histories/${name}.json`, import.meta.url));
writeFileSync(file, `${JSON.stringify(JSON.parse(historyToJSON(history)), null, 1)}\n`);
console.log(file);
