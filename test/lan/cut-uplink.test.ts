import assert from 'node:assert/strict';
import { since } from './counters.ts';
import { labTest, untilConnected } from './lab.ts';
import { pullRight } from './pull.ts';

/** How long what nobody holds may take to be refused, as promised. Milliseconds. */
const PROMISED = 3000;
/** On a busy machine, a promise is held to three times itself. */
const HEADROOM = 3;

const NOBODYS = `sha256:${'0'.repeat(64)}`;

/** How the uplink can go: with a word (no route, no carrier) or without (packets vanish). */
for (const way of ['unplugged', 'silent'] as const) {
  labTest(`6. with the uplink ${way}: what a neighbour holds is pulled, the rest refused in time`, async (lab) => {
    const { full } = lab.images;
    const [first, second] = [await lab.addHost(), await lab.addHost()];
    await Promise.all([first.agent.start(), second.agent.start()]);
    await untilConnected(first.agent, second.agent);
    await pullRight(first, full);
    if (way === 'unplugged') await lab.network.upstream.unplug();
    else await lab.network.blackholeUplink();

    const uplink = since(lab.network.upstream.counters.sent);
    const took = await pullRight(second, full, { reference: `lan@${full.digest}` });
    lab.note(`pulled by digest in ${took.toFixed(1)} s`);
    assert.ok(uplink() < 64 * 1024, 'the uplink was cut');

    for (const path of [`manifests/${NOBODYS}`, 'manifests/no-such-tag', `blobs/${NOBODYS}`]) {
      const answer = await second.agent.ask(`/v2/library/lan/${path}`);
      lab.note(`${path}: ${answer.status} after ${answer.took.toFixed(0)} ms: ${answer.body}`);
      assert.ok(answer.status >= 400, `status ${answer.status}`);
      const { errors } = JSON.parse(answer.body);
      assert.ok(errors[0].code.length > 0 && errors[0].message.length > 0, answer.body);
      assert.ok(answer.took < PROMISED * HEADROOM, `refused after ${answer.took} ms`);
    }
  });
}
