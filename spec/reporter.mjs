// Mocha's usual report, plus the counts for spec/run.mjs, plus an end to runs that leave something open.
import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

export default class Reporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once('end', () => {
      const { passes, failures, pending } = this.stats;
      if (process.env.SPEC_COUNTS) writeFileSync(process.env.SPEC_COUNTS, JSON.stringify({ passes, failures, pending }));
      // Fires only if a socket, timer or child is still held, which without this would hang for ever.
      setTimeout(() => {
        console.error(`\nThe specs ended, but left open: ${process.getActiveResourcesInfo().join(', ')}`);
        process.exit(70);
      }, 10_000).unref();
    });
  }
}
