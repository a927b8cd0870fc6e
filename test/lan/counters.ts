import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** What has gone over an interface, in bytes with headers, as its own host sees it. */
export interface Counters {
  received(): number;
  sent(): number;
  /** TCP connections that were tried from this host. */
  connects(): number;
}

/**
 * Reads an interface of the network namespace that process `pid` lives in. /sys would show the reader's own.
 * Cheap enough to be read every few milliseconds.
 */
export function interfaceCounters(pid: number, name: string): Counters {
  const field = (index: number) => {
    const line = readFileSync(`/proc/${pid}/net/dev`, 'utf8')
      .split('\n')
      .find((candidate) => candidate.trim().startsWith(`${name}:`));
    if (line === undefined) throw new Error(`no interface ${name} beside process ${pid}`);
    return Number(
      line
        .slice(line.indexOf(':') + 1)
        .trim()
        .split(/\s+/)[index],
    );
  };
  return { received: () => field(0), sent: () => field(8), connects: () => tcpConnects(pid) };
}

/** ActiveOpens of RFC 4022: SYNs that began a connection, over every interface of the namespace. */
function tcpConnects(pid: number): number {
  const [names, values] = readFileSync(`/proc/${pid}/net/snmp`, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.split(' '));
  return Number(values?.[names?.indexOf('ActiveOpens') ?? -1]);
}

/** What is counted from now on. */
export function since(count: () => number): () => number {
  const from = count();
  return () => count() - from;
}

/** "In mid-transfer" is between these two parts of the largest layer. */
const EARLIEST = 0.2;
const LATEST = 0.8;
/** Where the fault is aimed at: early enough that the last read before it cannot jump past the end of the window. */
const AIM = 0.35;
/** Milliseconds between two looks at the counter: at 200 Mbit/s, 50 KiB. */
const EVERY = 2;

export interface MidTransferInit {
  /** Bytes of the transfer so far. */
  readonly moved: () => number;
  /** Bytes of the largest layer. */
  readonly size: number;
  /** What is being transferred; a fault after its end is none. */
  readonly transfer: Promise<unknown>;
  /** Brings the fault about, before it returns. */
  readonly fault: () => void;
}

/**
 * Fires a fault in mid-transfer, and gives the part of the largest layer that had gone by then.
 * @throws AssertionError where the fault came outside the window, or the transfer ended before it
 */
export async function inMidTransfer(init: MidTransferInit): Promise<number> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  init.transfer.then(over, over);
  while (init.moved() < AIM * init.size) {
    assert.ok(!isOver, `the transfer ended after ${init.moved()} bytes, before the fault`);
    await sleep(EVERY);
  }
  const before = init.moved() / init.size;
  init.fault();
  const after = init.moved() / init.size;
  assert.ok(before >= EARLIEST && after <= LATEST, `the fault came between ${before} and ${after} of the layer`);
  assert.ok(!isOver, 'the transfer had ended when the fault came');
  return after;
}
