import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { noisePrologue } from '../../agent/swarm/key.ts';
import { type ConnectProxy, startConnectProxy } from '../support/connect-proxy.ts';
import { connected, type HostOptions, startHost, until } from '../support/host.ts';
import { assertNotSaid, assertNotStored, everythingSaid, type Said, startTalkative } from '../support/said.ts';
import { canary, formsOf } from '../support/secrets.ts';
import {
  startUpstreamRegistry,
  type UpstreamRegistry,
  type UpstreamRegistryOptions,
} from '../support/upstream-registry.ts';

/** Secrets that are no credentials of a registry; those are in credentials.test.ts. */

const MIB = 1024 * 1024;

let closers: (() => Promise<void>)[];

beforeEach(() => {
  closers = [];
});

afterEach(async () => {
  for (const close of closers.reverse()) await close();
});

async function registryWith(options: UpstreamRegistryOptions = {}): Promise<UpstreamRegistry> {
  const registry = await startUpstreamRegistry(options);
  closers.push(() => registry.close());
  return registry;
}

async function hostOf(options: Omit<HostOptions, 'logger'>): Promise<Said> {
  const said = await startTalkative(options);
  closers.push(() => said.host.stop());
  return said;
}

/** A request of a client, whatever comes of it. @returns all that it is told */
async function told({ host }: Said, path: string): Promise<string> {
  const answer = await fetch(`${host.mirror}/v2/library/app/${path}`);
  const headers = [...answer.headers].join('\n');
  return `${answer.status}\n${headers}\n${await answer.text().catch((error: Error) => error.message)}`;
}

for (const signatures of ['s3', 'azure'] as const) {
  test(`the signature of an address that a blob is redirected to is neither said nor stored: ${signatures}`, async () => {
    const registry = await registryWith({ signatures });
    const [layer] = registry.addImage('library/app', { layers: [2 * MIB, 1000] }).layers;
    registry.misbehave({ kind: 'redirect' });
    registry.misbehave({ kind: 'break', after: MIB, on: 'storage', path: layer!.digest, times: 1 });
    const said = await hostOf({ upstream: registry.url });
    assert.ok((await said.host.pull('library/app', 'latest')).matches);
    assert.ok(registry.signatures.length >= 4, 'each blob, and one again');

    const lost = canary();
    const nowhere = `http://127.0.0.1:1/storage?sig=${encodeURIComponent(lost)}`;
    const answers: string[] = [];
    for (const fault of [
      { kind: 'status', status: 403, on: 'storage' },
      { kind: 'status', status: 500, on: 'storage' },
      { kind: 'length', delta: 5, on: 'storage' },
      { kind: 'corrupt', at: 0, on: 'storage' },
      { kind: 'status', status: 307, headers: { location: nowhere }, on: 'blob' },
      { kind: 'status', status: 307, headers: { location: nowhere.replace('http:', 'ftp:') }, on: 'blob' },
      { kind: 'status', status: 307, headers: { location: `${nowhere}:`.replace('127.0.0.1', '[') }, on: 'blob' },
    ] as const) {
      const behave = registry.misbehave(fault);
      const { digest } = registry.addBlob('library/app', randomBytes(1000));
      answers.push(await told(said, `blobs/${digest}`));
      behave();
    }
    assert.equal(answers.filter((answer) => /^(403|502)\n/.test(answer)).length, answers.length, answers.join('\n'));

    const forms = [...registry.signatures, lost].flatMap(formsOf);
    assertNotSaid(`${await everythingSaid(said)}\n${answers.join('\n')}`, forms);
    await assertNotStored(said.host, forms, [...registry.signatures, lost]);
  });
}

/** Where a proxy may be written, by its URL. */
const PLACES: readonly [name: string, place: (url: string) => Pick<HostOptions, 'config' | 'env'>][] = [
  ['the configuration', (proxy) => ({ config: { upstream: { proxy } } })],
  ['the environment', (url) => ({ env: { HTTP_PROXY: url, HTTPS_PROXY: url } })],
];

for (const [name, place] of PLACES) {
  test(`a proxy’s password is neither said nor stored: in ${name}`, async () => {
    const registry = await registryWith();
    registry.addImage('library/app', { layers: [MIB] });
    // What is on this machine is asked without a proxy that the environment names.
    const proxy = await startConnectProxy({ 'registry.test:80': registry.host });
    closers.push(() => proxy.close());
    const secret = canary();
    const upstream = 'http://registry.test';
    const said = await hostOf({ upstream, ...place(withPassword(proxy, secret)) });
    assert.ok((await said.host.pull('library/app', 'latest')).matches);
    assert.ok(proxy.authorizations.length > 0 && proxy.authorizations.every((shown) => shown?.startsWith('Basic ')));

    // With a connection that is kept, no proxy would be asked.
    const refused = await hostOf({ address: '127.0.0.3', upstream, ...place(withPassword(proxy, secret)) });
    const answers: string[] = [];
    for (const status of [407, 403, 502]) {
      proxy.refuseWith = status;
      answers.push(await told(refused, `manifests/${status}`));
    }
    await proxy.close();
    answers.push(await told(refused, 'manifests/away'));
    for (const answer of answers) assert.match(answer, /^502\n/);

    const wrong = `${withPassword(proxy, secret)}/path`;
    const start = startHost({ upstream, ...place(wrong) });
    const error = await start.then(
      () => assert.fail('a proxy with a path'),
      (thrown: Error) => `${thrown.stack}`,
    );

    const forms = formsOf(secret);
    assertNotSaid([await everythingSaid(said), await everythingSaid(refused), ...answers, error].join('\n'), forms);
    for (const { host } of [said, refused]) await assertNotStored(host, forms, forms);
  });
}

test('a network key, and what is made of it, is neither said nor stored', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'layerlan-keys-'));
  closers.push(() => rm(directory, { recursive: true }));
  const keys = [randomBytes(32), randomBytes(32)] as const;
  const files = await Promise.all(
    keys.map(async (key, index) => {
      const file = join(directory, `${index}.key`);
      await writeFile(file, `${key.toString('hex')}\n`);
      return file;
    }),
  );
  const registry = await registryWith();
  registry.addImage('library/app', { layers: [MIB] });
  const keyed = (address: string, index: 0 | 1, peers: readonly string[] = []) =>
    hostOf({ address, upstream: registry.url, peers, networkKeyFile: files[index] as string });
  const first = await keyed('127.0.0.2', 0);
  const peers = first.host.agent.peerAddresses;
  const second = await keyed('127.0.0.3', 0, peers);
  const stranger = await keyed('127.0.0.4', 1, peers);
  await connected(second.host, 1);
  assert.ok((await first.host.pull('library/app', 'latest')).matches);
  assert.ok((await second.host.pull('library/app', 'latest')).matches);
  assert.ok((await first.host.agent.status()).traffic.servedBytes > 0, 'by the key');
  await until('the stranger fails', async () => {
    const [peer] = (await stranger.host.agent.status()).peers;
    return peer?.state === 'backing-off';
  });

  await writeFile(files[1] as string, `${keys[1].toString('hex')}!\n`);
  const start = startHost({ upstream: registry.url, networkKeyFile: files[1] as string });
  const error = await start.then(
    () => assert.fail('a wrong key'),
    (thrown: Error) => `${thrown.stack}`,
  );

  const secrets = keys.flatMap((key) => [key, Buffer.from(noisePrologue(key))]);
  const raw = secrets.flatMap((secret) => [
    secret.toString('base64').slice(0, -2),
    secret.toString('base64url').slice(0, -2),
  ]);
  const forms = [...secrets.flatMap((secret) => formsOf(secret.toString('hex'))), ...raw];
  const said = [first, second, stranger];
  assertNotSaid(
    [...(await Promise.all(said.map(everythingSaid))), error].join('\n').toLowerCase(),
    forms.map((form) => form.toLowerCase()),
  );
  for (const { host } of said) await assertNotStored(host, [...secrets, ...forms], [...secrets, ...forms]);
});

function withPassword({ port }: ConnectProxy, password: string): string {
  return `http://me:${encodeURIComponent(password)}@127.0.0.1:${port}`;
}
