import { proxyActivities } from '@temporalio/workflow';
import type { MainActivities } from '../activities/contract.ts';
import type { NamedRunner } from '../domain/choose-runner.ts';
import { configurationOptions } from './options.ts';

/** Which runners the workers of this namespace look after: a command asks before it starts anything. */
export async function listRunners(): Promise<readonly NamedRunner[]> {
  const configuration = proxyActivities<MainActivities>(configurationOptions('which runners are looked after?'));
  return configuration.listRunners();
}
