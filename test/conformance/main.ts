import { CASES } from './cases.ts';
import { startDistribution } from './distribution.ts';
import { judge } from './judge.ts';
import { startLayerlan } from './layerlan.ts';
import type { Target } from './target.ts';

/** Runs every case on an agent and on a registry that others have written, and prints what came of it. */
async function main(): Promise<boolean> {
  const targets: Target[] = [];
  try {
    // One by one, so that what runs is ended where the next does not start.
    for (const start of [startLayerlan, startDistribution]) targets.push(await start());
    return await runAll(targets);
  } finally {
    await Promise.all(targets.map((target) => target.close()));
  }
}

async function runAll(targets: readonly Target[]): Promise<boolean> {
  const widest = Math.max(...CASES.map(({ title }) => title.length));
  const section = Math.max(...CASES.map((each) => each.section.length));
  const row = (...[title = '', where = '', ...verdicts]: string[]) =>
    console.log(
      `${title.padEnd(widest)}  ${where.padEnd(section)}  ${verdicts.map((each) => each.padEnd(12)).join('  ')}`,
    );
  row('case', 'section', ...targets.map(({ name }) => name));
  let passed = 0;
  let failed = 0;
  const differences = new Map<string, number>();
  for (const one of CASES) {
    const verdicts = [];
    for (const target of targets) verdicts.push({ target, verdict: await judge(one, target) });
    row(one.title, one.section, ...verdicts.map(({ verdict }) => verdict.text));
    if (one.client !== undefined) console.log(`    for ${one.client}`);
    for (const { target, verdict } of verdicts) {
      if (verdict.passed) passed++;
      else failed++;
      if (verdict.why !== undefined) console.log(`    ${target.name}: ${verdict.why.replaceAll('\n', '\n    ')}`);
    }
    if (one.differs !== undefined) {
      const { because } = one.differs;
      differences.set(because, (differences.get(because) ?? 0) + 1);
    }
  }
  console.log('\ndistribution 2.8 is expected to differ, and was seen to:');
  for (const [why, count] of differences) console.log(`  ${String(count).padStart(2)} ×  ${why}`);
  // Nothing is ever skipped: a target that cannot be started ends the run.
  console.log(`\n${passed} passed, ${failed} failed, 0 skipped`);
  return failed === 0;
}

process.exitCode = (await main()) ? 0 : 1;
