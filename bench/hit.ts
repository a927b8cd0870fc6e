import { dirname } from 'node:path';
import { startDistribution } from './distribution.ts';
import { drain, startLan } from './lan.ts';
import { run } from './processes.ts';
import { median, table } from './table.ts';

const MIB = 1024 * 1024;
const SIZE = 1024 * MIB;
const ROUNDS = 5;

/** A blob the agent holds, beside Debian's docker-registry and node:http that serve the very same file, in turn. */
export async function hit() {
  const lan = await startLan({ withKey: false });
  try {
    const agent = await lan.agent(1);
    const digest = lan.blob(SIZE);
    await drain(agent.url(digest), SIZE);
    const file = agent.file(digest);
    const distribution = await startDistribution(dirname(dirname(file)), file, digest);
    const plain = run('bench/programs/file-server.ts', file);
    const { port } = await plain.line<{ port: number }>();
    const takers = [
      { name: 'layerlan', url: agent.url(digest), runs: [] as number[] },
      { name: 'Debian’s docker-registry, the same file', url: distribution.url(digest), runs: [] as number[] },
      { name: 'node:http, the same file', url: `http://127.0.0.1:${port}/`, runs: [] as number[] },
    ];
    for (let round = 0; round <= ROUNDS; round++) {
      for (const { url, runs } of takers) {
        const speed = SIZE / MIB / ((await drain(url, SIZE)).totalMs / 1000);
        // The first round warms all up.
        if (round > 0) runs.push(speed);
      }
    }
    await Promise.all([distribution.stop(), plain.stop()]);
    const [ours] = takers as [(typeof takers)[number]];
    const ratioTo = (runs: number[]) => median(ours.runs.map((each, at) => each / (runs[at] as number)));
    console.log(
      table(
        ['1 GiB held, to a client', 'MiB/s', 'layerlan is so many times as fast'],
        takers.map(({ name, runs }) => [name, median(runs).toFixed(0), ratioTo(runs).toFixed(2)]),
      ),
    );
    return takers.map(({ name, runs }) => ({ name, runs, ratio: ratioTo(runs) }));
  } finally {
    await lan.close();
  }
}
