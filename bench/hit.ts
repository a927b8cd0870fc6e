import { drain, startLan } from './lan.ts';
import { run } from './processes.ts';
import { median, table } from './table.ts';

const MIB = 1024 * 1024;
const SIZE = 1024 * MIB;
const ROUNDS = 5;

/** A blob the agent holds, beside node:http that pipes the very same file, in turn. */
export async function hit() {
  const lan = await startLan({ withKey: false });
  try {
    const agent = await lan.agent(1);
    const digest = lan.blob(SIZE);
    await drain(agent.url(digest), SIZE);
    const rival = run('bench/programs/file-server.ts', agent.file(digest));
    const { port } = await rival.line<{ port: number }>();
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const plain = SIZE / MIB / ((await drain(`http://127.0.0.1:${port}/`, SIZE)).totalMs / 1000);
      const held = SIZE / MIB / ((await drain(agent.url(digest), SIZE)).totalMs / 1000);
      if (round === 0) continue;
      ours.push(held);
      theirs.push(plain);
    }
    await rival.stop();
    const ratio = median(ours.map((each, at) => each / (theirs[at] as number)));
    console.log(
      table(
        ['1 GiB held, to a client', 'MiB/s', 'of node:http'],
        [
          ['layerlan', median(ours).toFixed(0), ratio.toFixed(2)],
          ['node:http, the same file', median(theirs).toFixed(0), '1.00'],
        ],
      ),
    );
    return { ours, theirs, ratio };
  } finally {
    await lan.close();
  }
}
