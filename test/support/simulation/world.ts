import type { Digest } from '../../../protocol/digest.ts';
import type { FleetMessage } from '../../../protocol/messages.ts';
import { Agenda } from './agenda.ts';
import { Host, type HostInit } from './host.ts';
import { bend } from './hostile.ts';
import { Puller } from './puller.ts';
import { Uplink, type UplinkInit } from './uplink.ts';

/** From one host to another. ms */
const LATENCY = 0.3;

/** How long after a split is healed what was lost in it is sent again. ms */
const RETRANSMITTED = 200;

/** How long until it is noticed that a connection's other end is gone without a word. ms */
const UNSEEN = 20_000;

/** Ticks of one agent in one virtual second that are more than any rule wants: a loop. */
const TICKS = 2_000;

/** A LAN in virtual time: hosts, what connects them, and one uplink. */
export class World {
  readonly agenda = new Agenda();
  readonly uplink: Uplink;
  readonly hosts: Host[] = [];
  readonly byName = new Map<string, Host>();
  readonly puller: Puller;
  /** Where a line on each thing of note goes. */
  trace: ((line: string) => void) | undefined;
  /** When the split LAN is whole again; undefined where it is whole now. */
  #healsAt: number | undefined;

  constructor(init: UplinkInit & { readonly hasRanges?: boolean; readonly fails?: (host: Host) => boolean }) {
    this.uplink = new Uplink(this.agenda, init);
    this.puller = new Puller(this, init);
  }

  /** A host that is not there yet. */
  add(init: HostInit): Host {
    const host = new Host(this.agenda, init);
    this.hosts.push(host);
    this.byName.set(host.name, host);
    return host;
  }

  /** The host is there: it and the others know each other. */
  arrive(host: Host): void {
    host.isAlive = true;
    for (const other of this.hosts) {
      if (other === host || !other.isAlive || !this.areConnected(host, other)) continue;
      this.act(other, () => other.fleet.came(host.name));
      this.act(host, () => host.fleet.came(other.name));
    }
  }

  /** The host is dead. @param isSeen whether its connections break at once, or just fall silent */
  kill(host: Host, isSeen: boolean): void {
    host.isAlive = false;
    for (const hold of host.holds.values()) this.puller.abandon(hold);
    this.agenda.after(isSeen ? 1 : UNSEEN, () => {
      for (const other of this.hosts) {
        if (!other.isAlive || other === host) continue;
        this.puller.lose(other, host);
        this.act(other, () => other.fleet.left(host.name, this.agenda.now));
      }
    });
  }

  /** The host stands still, as after SIGSTOP. */
  pause(host: Host, ms: number): void {
    host.pausedUntil = Math.max(host.pausedUntil, this.agenda.now + ms);
  }

  /** Nothing passes between the sides any more, for so long. @param ms Infinity for never again */
  split(sideOf: (host: Host) => number, ms: number): void {
    this.#healsAt = this.agenda.now + ms;
    for (const host of this.hosts) host.side = sideOf(host);
    if (ms === Number.POSITIVE_INFINITY) {
      this.agenda.after(UNSEEN, () => this.#part());
      return;
    }
    this.agenda.after(ms, () => {
      this.#healsAt = undefined;
      for (const host of this.hosts) host.side = 0;
    });
  }

  areConnected(one: Host, other: Host): boolean {
    return one.side === other.side;
  }

  /** Lets something happen at `host` that came over the LAN at this moment, now or when the split is healed. */
  across(from: Host, host: Host, act: () => void): void {
    if (this.areConnected(from, host)) act();
    else if (this.#healsAt !== undefined && this.#healsAt !== Number.POSITIVE_INFINITY) {
      this.agenda.at(this.#healsAt + RETRANSMITTED, () => this.across(from, host, act));
    }
  }

  get latency(): number {
    return LATENCY;
  }

  send(from: Host, to: Host, message: FleetMessage): void {
    if (!to.isAlive || !this.areConnected(from, to)) return;
    from.sent++;
    to.received++;
    to.run(to.message(this.agenda.now + LATENCY), () => {
      this.act(to, () => to.fleet.heard(from.name, message, this.agenda.now));
      if (to.lie === 'snaps' && from.lie === undefined && message.type === 'taking') this.#snap(to, message.digest);
    });
  }

  /** It says anew what suits it, at once. */
  #snap(liar: Host, digest: Digest): void {
    const told = liar.told.get(digest);
    const message = told && bend(liar, told, this);
    if (message === undefined) return;
    for (const host of this.hosts) if (host.lie === undefined) this.send(liar, host, message);
  }

  /** Does something to a host's rules, and then what they want done. */
  act(host: Host, event: () => void): void {
    event();
    for (const wish of host.fleet.wishes()) {
      if (wish.kind !== 'tell') {
        this.puller.heed(host, wish);
        continue;
      }
      if (wish.message.type === 'taking') host.told.set(wish.message.digest, wish.message);
      const message = bend(host, wish.message, this);
      if (message === undefined) continue;
      if (message.type !== 'taking')
        this.trace?.(`${host.name} ${message.digest.slice(7, 11)} ${spelt(message)} to ${wish.peers}`);
      for (const peer of wish.peers) {
        const to = this.byName.get(peer) as Host;
        host.message(this.agenda.now);
        this.send(host, to, message);
      }
    }
    this.#arm(host);
  }

  join(host: Host, blob: { readonly digest: Digest; readonly size: number }, onDone: () => void): void {
    this.puller.join(host, blob, onDone);
  }

  /** Lets time pass until `isDone`, nothing is left to happen, or the time is over. */
  run(until: number, isDone: () => boolean = () => false): void {
    while (!this.agenda.isEmpty && this.agenda.now <= until && !isDone()) this.agenda.step();
  }

  #arm(host: Host): void {
    const now = this.agenda.now;
    const due = Math.max(host.fleet.dueAt(now), now + 1);
    if (due >= host.timerAt || due === Number.POSITIVE_INFINITY) return;
    host.timerAt = due;
    host.run(due, () => {
      if (host.timerAt !== due) return;
      host.timerAt = Number.POSITIVE_INFINITY;
      host.ticks++;
      if (host.ticks > TICKS + (TICKS * now) / 1_000) throw new Error(`${host.name} ticks without end at ${now} ms`);
      this.act(host, () => host.fleet.tick(this.agenda.now));
    });
  }

  #part(): void {
    for (const one of this.hosts) {
      for (const other of this.hosts) {
        if (one === other || !one.isAlive || !other.isAlive || this.areConnected(one, other)) continue;
        this.puller.lose(one, other);
        this.act(one, () => one.fleet.left(other.name, this.agenda.now));
      }
    }
  }
}

function spelt(message: FleetMessage): string {
  if (message.type === 'grant') return `grants ${message.segment}`;
  return message.type === 'refuse' ? `refuses, ${message.fetching} fetch` : message.type;
}
