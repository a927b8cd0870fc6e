import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { listenerAt } from '../../../../agent/cli/doctor/agent-check.ts';
import { clientsElsewhere, containerMark } from '../../../../agent/cli/doctor/container-check.ts';
import { processesIn } from '../../../../agent/cli/doctor/processes.ts';
import { parseSocketTable, socketAt } from '../../../../agent/cli/doctor/socket-table.ts';

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const row = (address: string, state: string, inode: number) =>
  `   0: ${address} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0 100 0 0 10 0\n`;

test('the kernel’s tables of sockets', () => {
  const text = [
    HEAD,
    row('0100007F:13BF', '0A', 11),
    row('0100007F:13C0', '01', 12),
    row('00000000:0FD7', '0A', 13),
    row('00000000000000000000000001000000:13BF', '0A', 14),
    row('00000000000000000000000000000000:0050', '0A', 15),
    row('0000000000000000FFFF00000200000A:0051', '0A', 16),
    'nonsense\n',
  ].join('');
  assert.deepEqual(parseSocketTable(text), [
    { host: '127.0.0.1', port: 5055, inode: '11' },
    { host: '*', port: 4055, inode: '13' },
    { host: '::1', port: 5055, inode: '14' },
    { host: '*', port: 80, inode: '15' },
    { host: '10.0.0.2', port: 81, inode: '16' },
  ]);
  const at = (host: string, port: number) => socketAt(parseSocketTable(text), host, port)?.inode;
  assert.equal(at('127.0.0.1', 5055), '11');
  assert.equal(at('localhost', 5055), '11');
  assert.equal(at('::1', 5055), '14');
  assert.equal(at('127.0.0.2', 5055), undefined);
  assert.equal(at('0.0.0.0', 5055), '11');
  assert.equal(at('192.0.2.1', 4055), '13');
});

test('who listens is found in the real /proc', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const found = listenerAt({ host: '127.0.0.1', port }, processesIn('/proc'));
  assert.ok(typeof found === 'object');
  assert.equal(found.process?.pid, process.pid);
  assert.equal(listenerAt({ host: '127.0.0.1', port: 1 }, processesIn('/proc')), 'nobody');
});

/** A /proc of its own, below a root. */
function host(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'layerlan-proc-'));
  t.after(() => rmSync(root, { recursive: true }));
  const proc = join(root, 'proc');
  mkdirSync(proc);
  const add = (pid: string, name: string, network: string) => {
    mkdirSync(join(proc, pid, 'ns'), { recursive: true });
    writeFileSync(join(proc, pid, 'comm'), `${name}\n`);
    symlinkSync(`net:[${network}]`, join(proc, pid, 'ns', 'net'));
  };
  return { root, proc, add };
}

test('without /proc nothing is claimed', (t) => {
  const { root } = host(t);
  const processes = processesIn(join(root, 'none'));
  assert.equal(listenerAt({ host: '127.0.0.1', port: 5055 }, processes), 'unseen');
  assert.deepEqual(clientsElsewhere(processes), []);
});

test('daemons on another network are found', (t) => {
  const { proc, add } = host(t);
  add('self', 'node', '1');
  add('10', 'dockerd', '1');
  add('11', 'buildkitd', '2');
  add('12', 'nginx', '2');
  assert.deepEqual(clientsElsewhere(processesIn(proc)), [{ pid: 11, name: 'buildkitd' }]);
});

test('a container is known by its marks', (t) => {
  const { root, proc } = host(t);
  assert.equal(containerMark(root), undefined);
  mkdirSync(join(proc, '1'));
  writeFileSync(join(proc, '1', 'cgroup'), '0::/init.scope\n');
  assert.equal(containerMark(root), undefined);
  writeFileSync(join(proc, '1', 'cgroup'), '0::/kubepods/pod1\n');
  assert.equal(containerMark(root), '/proc/1/cgroup');
  mkdirSync(join(root, 'run'));
  writeFileSync(join(root, 'run', '.containerenv'), '');
  assert.equal(containerMark(root), '/run/.containerenv');
});
