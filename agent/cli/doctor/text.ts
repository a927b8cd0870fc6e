import type { Finding } from './finding.ts';

/** What `layerlan doctor` shows: a line for each finding, and under what is not well what to do. */
export function findingsText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.flatMap(({ name, state, what, advice }) => {
    const line = `${state.padEnd(4)}  ${name.padEnd(width)}  ${what}`;
    return advice === undefined ? [line] : [line, `${' '.repeat(width + 8)}→ ${advice}`];
  });
  const counts = (['warn', 'fail'] as const).map((state) => findings.filter((one) => one.state === state).length);
  const [warnings = 0, failures = 0] = counts;
  const sum =
    warnings + failures === 0
      ? 'Nothing is wrong.'
      : `${failures} ${failures === 1 ? 'fault' : 'faults'}, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}.`;
  return `${lines.join('\n')}\n\n${sum}\n`;
}
