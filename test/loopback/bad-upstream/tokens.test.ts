import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Asked, type BadRegistry, startBadRegistry } from '../../support/bad-upstream/registry.ts';
import { begin, run, type Trial } from '../../support/bad-upstream/trial.ts';

const MIB = 1024 * 1024;

const failed = (message: RegExp) => ({ status: 502, message });
const denied = (message: RegExp) => ({ status: 403, message });

function answer(text: string, status = 200): Trial['does'] {
  const body = Buffer.from(text);
  return ({ send }) => send(status, { 'content-type': 'application/json', 'content-length': body.length }, body);
}

const TRIALS: Omit<Trial, 'on'>[] = [
  { name: 'something else than JSON', does: answer('<html>'), told: failed(/no token/) },
  { name: 'an empty object', does: answer('{}'), told: failed(/no token/) },
  { name: 'nulls', does: answer('{"token":null,"access_token":null}'), told: failed(/no token/) },
  { name: 'a list', does: answer('[{"token":"a"}]'), told: failed(/no token/) },
  { name: 'JSON that is nested too deep', does: answer('['.repeat(60_000)), told: failed(/no token/) },
  { name: 'a token with a line break', does: answer('{"token":"a\\r\\nx: y"}'), told: failed(/no token/) },
  { name: 'a token that no registry takes', does: answer('{"token":"no"}'), told: denied(/refuses manifest latest/) },
  {
    name: 'a token of impossible life',
    does: answer('{"token":"no","expires_in":-1e308,"issued_at":"9999"}'),
    told: denied(/refuses manifest latest/),
  },
  {
    name: 'a token without end',
    does: (asked) => {
      begin(asked, 'content-type: application/json', '', '{"token":"');
      asked.endless('a'.repeat(50_000));
    },
    told: failed(/more than 65536 bytes/),
  },
  {
    name: 'a token by a byte a second',
    does: (asked) => {
      begin(asked, '');
      asked.endless(' ', 1000);
    },
    told: { status: 504, message: /did not send all within|did not answer within/ },
  },
  {
    name: 'headers without end',
    does: (asked) => {
      begin(asked);
      asked.endless('x: y\r\n'.repeat(500));
    },
    told: failed(/headers without end/),
  },
  {
    name: 'a redirect',
    does: ({ path, send }) => send(307, { location: path, 'content-length': 0 }),
    told: failed(/answered 307 and no token/),
  },
  { name: 'a 429', does: answer('', 429), told: { status: 503, message: /limits the rate of tokens/ } },
  { name: 'a 401', does: answer('', 401), told: denied(/no anonymous token/) },
];

describe('a token server that answers with', { concurrency: 6 }, () => {
  for (const trial of TRIALS) test(trial.name, () => run({ ...trial, on: 'token', registry: { door: 'bearer' } }));
});

test('a challenge with a realm of somebody else’s: nobody is asked there', async () => {
  const foreign = await startBadRegistry();
  try {
    await run({
      name: 'a foreign realm',
      on: 'manifest',
      does: ({ send }) => {
        const realm = foreign.url.replace('127.0.0.1', '127.0.0.9');
        send(401, { 'www-authenticate': `Bearer realm="${realm}/token"`, 'content-length': 0 });
      },
      told: failed(/another domain: refused/),
    });
    assert.equal(foreign.asked.length, 0);
  } finally {
    await foreign.close();
  }
});

/** Sends a MiB, resets the connection, and ends what it was asked with. */
function breakOff({ right, send, socket }: Asked, expire: () => void): void {
  send(right.status, right.headers, right.body.subarray(0, MIB));
  if (right.status !== 200 && right.status !== 206) return;
  expire();
  setTimeout(() => socket.resetAndDestroy(), 50);
}

test('tokens that end in mid-pull: each part of the layer takes one of its own', async () => {
  let registry: BadRegistry | undefined;
  await run({
    name: 'short tokens',
    on: 'blob',
    registry: { door: 'bearer' },
    host: (it) => {
      registry = it;
      return {};
    },
    does: (asked) => breakOff(asked, () => registry?.expireTokens()),
    told: 'right',
    also: ({ asked }) => {
      const shown = asked.filter(({ kind }) => kind === 'blob').map(({ headers }) => headers.get('authorization'));
      assert.ok(new Set(shown).size >= 3, `${shown.length} requests`);
    },
  });
});

for (const helps of [true, false]) {
  test(`a password that ends in mid-pull, ${helps ? 'with a new one in its file' : 'for good'}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'layerlan-password-'));
    const passwordFile = join(folder, 'password');
    let password = 'first';
    try {
      await writeFile(passwordFile, password);
      await run({
        name: 'a short password',
        on: 'blob',
        registry: { door: { basic: () => `me:${password}` } },
        host: ({ url }) => ({
          config: {
            registries: { 'docker.io': { endpoints: [url], credentials: { username: 'me', passwordFile } } },
          },
        }),
        does: async (asked) => {
          const next = `${password}+`;
          if (helps && asked.right.status !== 401) await writeFile(passwordFile, next);
          breakOff(asked, () => {
            password = next;
          });
        },
        told: helps ? 'right' : 'cut',
        also: () => {
          // The old one counts again.
          if (!helps) password = 'first';
        },
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}

test('storage that refuses a foreign Authorization gets none, of Bearer or of Basic', async () => {
  const storage = await startBadRegistry();
  storage.misbehave('any', ({ headers, right, send }) => {
    const both = Buffer.from('<Error><Code>InvalidArgument</Code></Error>');
    // As S3 has it, where a signature in the URL meets a header.
    if (headers.has('authorization')) send(400, { 'content-length': both.length }, both);
    else send(right.status, right.headers, right.body);
  });
  try {
    for (const door of ['bearer', { basic: () => 'me:secret' }] as const) {
      process.env.LAYERLAN_TEST_PASSWORD = 'secret';
      await run({
        name: 'storage',
        on: 'blob',
        registry: { door },
        host: ({ url }) => {
          const credentials = door === 'bearer' ? null : { username: 'me', passwordEnv: 'LAYERLAN_TEST_PASSWORD' };
          return { config: { registries: { 'docker.io': { endpoints: [url], credentials } } } };
        },
        does: ({ right, path, send }) => {
          const location = `${storage.url}/storage/${path.split('/').at(-1)}?signature=x`;
          if (right.status === 401) send(401, right.headers, right.body);
          else send(307, { location, 'content-length': 0 });
        },
        told: 'right',
      });
    }
    assert.ok(storage.asked.length >= 2);
    for (const { headers } of storage.asked) assert.equal(headers.get('authorization'), undefined);
  } finally {
    delete process.env.LAYERLAN_TEST_PASSWORD;
    await storage.close();
  }
});
