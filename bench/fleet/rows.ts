import {
  killBusiest,
  killCoordinator,
  lateCoordinator,
  pauseCoordinator,
  splitForAWhile,
  splitForGood,
} from './faults.ts';
import type { HostileBehaviour } from './hostile.ts';
import { sharingImages, smallImage } from './images.ts';
import type { Bounds, Row } from './row.ts';

const MIB = 1024 * 1024;
/** Where upstream breaks a body. Bytes. */
const BREAK_AFTER = 6 * MIB;
/** 20 Mbit/s in bytes. */
const CAP = 2_500_000;
/** Two stall time-outs (peers.stallTimeout's default). Seconds. */
const TWO_STALLS = 10;
/** The last start of eight that are spread. Milliseconds. */
const SPREAD = 10_000;

const alive = { k: 1.1 } as const;
const liars: Bounds = { k: 2.1, t: 2.2, shutOut: true };

const threeLiars = (name: string, title: string, ...hostile: HostileBehaviour[]): Row => ({
  name: `liars-${name}`,
  title: `3 of 8 hosts hostile: ${title}`,
  hostile,
  bounds: liars,
});

/** Who is busy breaks no rule. */
const tolerated = ({ bounds: { shutOut: _, ...bounds }, ...row }: Row): Row => ({ ...row, bounds });

const alike = (behaviour: HostileBehaviour, title: string) =>
  threeLiars(behaviour, title, behaviour, behaviour, behaviour);

const hostileCoordinator = (behaviour: HostileBehaviour, title: string, bounds: Bounds): Row => ({
  name: `coordinator-${behaviour}`,
  title: `a hostile coordinator: ${title}`,
  hostile: [behaviour],
  hostileCoordinates: true,
  bounds,
});

/** The cases of the table, in its order; that of forty agents on loopback is in crowd.ts. */
export const ROWS: readonly Row[] = [
  { name: 'cold', title: '8 hosts at the same instant, cold', rivals: 'cold', bounds: { k: 1.02, t: 1.08 } },
  // For what bulk lanes do to a cold fleet.
  { name: 'cold-no-lanes', title: 'the same without bulk lanes', lanes: false, bounds: { k: 1.02 } },
  {
    name: 'cold-thin',
    title: '8 hosts, uplink of 10 Mbit, image of 20 MiB',
    uplink: 10,
    images: smallImage,
    rivals: 'cold',
    bounds: { k: 1.02, t: 1.08 },
  },
  {
    name: 'spread',
    title: '8 hosts, starts spread over 10 s',
    delay: (host) => (host * SPREAD) / 7,
    rivals: 'cold',
    bounds: { k: 1.02 },
  },
  {
    name: 'sharing',
    title: '4 images that share layers, 2 hosts each',
    images: sharingImages,
    wants: (host) => host >> 1,
    rivals: 'cold',
    bounds: { k: 1.02 },
  },
  {
    name: 'warm',
    title: '1 holder, 7 takers at once',
    holders: 1,
    rivals: 'warm',
    bounds: { ofCache: 1 },
  },
  {
    name: 'warm-five',
    title: '1 holder, 5 takers at once',
    hosts: 6,
    holders: 1,
    rivals: 'warm',
    bounds: { ofCache: 0.5 },
  },
  {
    name: 'warm-five-no-lanes',
    title: '1 holder, 5 takers at once, without bulk lanes',
    hosts: 6,
    holders: 1,
    lanes: false,
    rivals: 'warm',
    bounds: { ofCache: 1 },
  },
  { name: 'striped', title: '4 holders, 1 taker', hosts: 5, holders: 4, rivals: 'stream', bounds: { ofStream: 0.95 } },
  { name: 'alone', title: 'a lone agent, cold', hosts: 1, bounds: { t: 1.03, first: 15 } },
  {
    name: 'late-coordinator',
    title: 'a new agent starts in mid-flight, and would be the coordinator',
    fault: lateCoordinator,
    bounds: alive,
  },
  { name: 'kill-coordinator', title: 'coordinator killed in mid-flight', fault: killCoordinator, bounds: alive },
  {
    name: 'pause-coordinator',
    title: 'coordinator paused for 0.4 s ten times in mid-flight',
    fault: pauseCoordinator,
    bounds: alive,
  },
  {
    name: 'kill-busiest',
    title: 'the host downloading most killed in mid-flight',
    fault: killBusiest,
    bounds: alive,
  },
  {
    name: 'split-healed',
    title: 'LAN split in two halves in mid-flight, healed after 4 s',
    fault: splitForAWhile,
    bounds: { k: 1.6 },
  },
  {
    name: 'split',
    title: 'LAN split in two halves in mid-flight, not healed',
    fault: splitForGood,
    bounds: { k: 2.1 },
  },
  {
    name: 'slow-host',
    title: 'one host on a 10 Mbit link among seven at 1 Gbit: the seven',
    slowLink: 10,
    patience: 600,
    bounds: { t: 1.1 },
  },
  { name: 'no-range', title: 'upstream without Range', upstream: [{ kind: 'no-range' }], bounds: {} },
  {
    name: 'too-many',
    title: 'upstream answers 429 with Retry-After: 1, to every second blob request and the first 8 for manifests',
    upstream: [
      { kind: 'status', status: 429, headers: { 'retry-after': '1' }, on: 'blob', method: 'GET', every: 2 },
      { kind: 'status', status: 429, headers: { 'retry-after': '1' }, on: 'manifest', times: 8 },
    ],
    bounds: {},
  },
  {
    name: 'breaks',
    title: 'upstream breaks every third body after 6 MiB',
    upstream: [{ kind: 'break', after: BREAK_AFTER, method: 'GET', every: 3 }],
    bounds: {},
  },
  {
    name: 'capped',
    title: 'upstream caps a connection at 20 Mbit',
    upstream: [{ kind: 'rate', bytesPerSecond: CAP, method: 'GET' }],
    bounds: { t: 1.3 },
  },
  alike('wrong-chunks', 'wrong chunks'),
  alike('one-wrong-in-twenty', 'one chunk in twenty wrong'),
  alike('false-map', 'a false map whose chunks match it'),
  alike('stall', 'a stall in mid-chunk'),
  alike('claims-all', '"I have it" for everything'),
  alike('holds-all', '"I hold the whole of it" for everything, and then nothing'),
  tolerated(alike('holds-all-busy', '"I hold the whole of it" for all that anybody holds, and then always busy')),
  alike('dribble', '1 byte a second'),
  alike('garbage', 'garbage frames'),
  tolerated(alike('makes-up', 'all taken from upstream, by its word, and never a chunk')),
  threeLiars('mixed', 'wrong chunks, a stall and a false map', 'wrong-chunks', 'stall', 'false-map'),
  threeLiars(
    'words',
    'chunks under another name, all taken and none given, false accusations',
    'forged-names',
    'hoards',
    'accuses',
  ),
  hostileCoordinator('refuses', 'refuses everyone', { k: 2.1, over: TWO_STALLS }),
  hostileCoordinator('grants', 'grants everyone', { k: 2.1 }),
  hostileCoordinator('names', 'names holders who are none', { k: 2.1, over: TWO_STALLS }),
  {
    name: 'fifty-identities',
    title: 'one host with 50 identities',
    hostile: ['fifty-identities'],
    bounds: { k: 2.1 },
  },
];
