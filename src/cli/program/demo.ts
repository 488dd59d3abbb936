import { Option } from 'commander';
import { BREAKS } from '../../sandbox/machine/breaks.ts';
import { withJson } from './options.ts';
import type { Program } from './group.ts';

/** Apart from the other verbs: it alone knows of the sandbox. */
export function addDemo({ command: program, invocation, end }: Program): void {
  withJson(program.command('demo'))
    .description('Watch Runward recover a simulated runner; touches nothing real')
    .addOption(new Option('--break <how>', 'how the runner breaks; at random by default').choices(BREAKS))
    .option('--keep', 'leave everything running until Ctrl-C')
    .action(async (flags: { break?: string; keep?: boolean; json?: boolean }) => {
      const { demo } = await import('../demo.ts');
      end(await demo({ break: flags.break, keep: flags.keep === true, json: flags.json === true }, invocation));
    });
}
