import assert from 'node:assert/strict';
import type { Case } from '../case.ts';
import { get } from '../case.ts';
import { newBlob } from '../target.ts';
import { Wire } from '../wire.ts';

const CONNECTIONS = 1000;

/** Who connects, and says nothing. */
export const crowdCases: Case[] = [
  {
    title: 'a thousand connections that never send anything hinder nobody',
    section: 'RFC 9112, 9.5',
    client: 'port scanners, health checks, clients that connect early',
    async run(target) {
      const { path, bytes } = await newBlob(target, 'sha256', 100_000);
      const silent: Wire[] = [];
      try {
        for (let at = 0; at < CONNECTIONS; at++) silent.push(await Wire.open(target));
        assert.ok((await get(target, path)).body.equals(bytes));
        const [first, last] = [silent[0], silent.at(-1)];
        for (const late of [first, last]) assert.equal((await late?.ask({ path: '/v2/' }))?.status, 200);
      } finally {
        for (const wire of silent) wire.close();
      }
    },
  },
];
